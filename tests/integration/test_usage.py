"""What an answer used up stands in its line of the log, exact where the upstream told it."""

from typing import Any

import pytest

from tests.fake_vllm import FakeVllm
from tests.gateway import Gateway


@pytest.mark.parametrize("stream", [True, False])
def test_a_whole_answer_has_the_upstreams_own_counts(gateway: Gateway, stream: bool) -> None:
    reply = gateway.chat(stream=stream, fake={"events": 6})

    line = gateway.log_line(request_id=reply.request_id)
    assert (line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"]) == (7, 6, 3)
    assert line["usage_is_partial"] is False


def test_a_client_that_left_is_counted_by_what_was_streamed(gateway: Gateway, fake: FakeVllm) -> None:
    with gateway.open_chat(fake={"interval": 0.02, "events": 1000}) as client:
        pieces = client.body()
        seen = sum(next(pieces).count(b'"delta"') for _ in range(8))

    line = gateway.log_line(request_id=client.request_id)
    assert seen <= line["completion_tokens"] <= fake.sent(client.request_id).count(b'"delta"') < 1000
    assert line["usage_is_partial"] is True


@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_a_stream_that_broke_is_counted_by_what_was_streamed(gateway: Gateway, target: str) -> None:
    script: dict[str, Any] = {"events": 9, "interval": 0.01, "fail_after": 6, "failure": "close"}
    with gateway.connect() as client:
        client.send_request("POST", target, {"model": "m", "stream": True, "fake": script})
        client.read_head()
        body = client.read_body()

    line = gateway.log_line(request_id=client.request_id)
    events = {"/v1/responses": b'.delta"', "/v1/messages": b'"content_block_delta"'}
    assert line["completion_tokens"] == body.count(events.get(target, b'"delta"'))
    assert line["usage_is_partial"] is True


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_a_plain_answer_that_the_engine_gave_up_is_cut(gateway: Gateway, reason: str) -> None:
    with gateway.connect() as client:
        body = {"model": "m", "fake": {"finish_reason": reason}}
        client.send_request("POST", "/v1/chat/completions", body)
        client.read_head()
        told = client.read_body()

    assert not client.is_whole
    assert b'"finish_reason"' not in told
    assert gateway.log_line(request_id=client.request_id)["outcome"] == "upstream_lost"
