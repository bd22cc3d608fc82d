"""What leaves the gateway is what the real vLLM sent; asking for usage changes nothing else."""

import re
from typing import Any

import pytest

from tests.e2e.served import MODEL, QUESTION, STORY, Served
from tests.gateway import wait_until

# What differs between two answers to the same question.
CHANGING = re.compile(
    rb'"(?:id|created|created_at|item_id|completed_at)":(?:"[^"]*"|[\d.]+)|"cached_tokens":\d+'
)
ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": QUESTION, "max_tokens": 20},
    "/v1/completions": {"prompt": "The capital of France is", "max_tokens": 20},
    "/v1/responses": {"input": "What is the capital of France?", "max_output_tokens": 20},
    "/v1/messages": {"messages": QUESTION, "max_tokens": 20},
}
GENERATED = "vllm:generation_tokens_total"
IDLE_SECONDS = 30.0


def comparable(body: bytes) -> bytes:
    return CHANGING.sub(b"", body)


def question(target: str, *, stream: bool) -> dict[str, Any]:
    return {"model": MODEL, "temperature": 0, "stream": stream, **ASKED[target]}


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("target", ASKED)
def test_the_bytes_are_those_of_vllm_itself(served: Served, target: str, stream: bool) -> None:
    body = question(target, stream=stream)

    for _ in range(3 if stream else 1):  # vLLM joins tokens to one event where it sends them too late
        through = served.post(target, body, served.key)
        direct = served.ask_vllm("POST", target, body)
        assert through.status == 200
        if comparable(through.body) == comparable(direct):
            break

    assert comparable(through.body) == comparable(direct)


@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/completions"])
def test_usage_is_known_although_nobody_asked_for_it(served: Served, target: str) -> None:
    reply = served.post(target, question(target, stream=True), served.key)

    assert b'"usage":{' not in reply.body
    line = served.log_line(request_id=reply.request_id)
    assert line["prompt_tokens"] > 0
    assert line["completion_tokens"] > 0
    assert line["usage_is_partial"] is False


def is_idle(served: Served) -> bool:
    return served.metric("vllm:num_requests_running") == 0


def test_a_stream_that_its_client_left_is_counted_about_right(served: Served) -> None:
    wait_until(lambda: is_idle(served), IDLE_SECONDS)
    before = served.metric(GENERATED)
    with served.open_stream({"messages": STORY, "max_tokens": 2000, "ignore_eos": True}) as client:
        client.read_head()
        pieces = client.body()
        for _ in range(12):  # the first holds no token
            next(pieces)

    line = served.log_line(request_id=client.request_id)
    assert line["usage_is_partial"] is True
    wait_until(lambda: is_idle(served), IDLE_SECONDS)
    assert 11 <= line["completion_tokens"] <= served.metric(GENERATED) - before < 2000
