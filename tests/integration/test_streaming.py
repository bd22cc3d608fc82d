"""A streamed answer reaches the client one event at a time, on connections that are kept."""

import json
import time
from typing import Any

import pytest

from tests.client import KEY, RawClient
from tests.client_requests import without_salt
from tests.fake_vllm import FakeVllm
from tests.gateway import Gateway

FRAMINGS = ("chunked", "length", "close")
ASKED = {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_each_event_arrives_while_the_upstream_still_waits(gateway: Gateway, framing: str) -> None:
    script = {"framing": framing, "events": 3, "interval": 1.0}
    with gateway.open_chat(fake=script, **ASKED) as client:
        arrivals = [(time.monotonic(), piece) for piece in client.body()]

    gaps = [later - earlier for (earlier, _), (later, _) in zip(arrivals, arrivals[1:], strict=False)]
    assert len(arrivals) >= 3
    assert all(gap > 0.15 for gap in gaps[:2])
    assert all(piece.endswith(b"\n\n") for _, piece in arrivals)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_usage_that_only_the_gateway_asked_for_is_taken_out(
    gateway: Gateway, fake: FakeVllm, framing: str
) -> None:
    reply = gateway.chat(fake={"events": 4, "framing": framing})

    sent = fake.sent(reply.request_id)
    usage_event = next(e for e in sent.split(b"\n\n") if b'"usage"' in e) + b"\n\n"
    assert reply.body == sent.replace(usage_event, b"")
    line = gateway.log_line(request_id=reply.request_id)
    assert (line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"]) == (7, 4, 3)


def test_a_wish_for_usage_is_spliced_into_the_original_bytes(gateway: Gateway, received) -> None:
    body = b'{ "model": "m", "stream" : true,\n "messages":[], "temperature": 1.50 }'

    reply = gateway.request("POST", "/v1/chat/completions", body, {"X-API-Key": KEY})

    spliced = b'{"stream_options":{"include_usage":true},' + body[1:]
    assert without_salt(received(reply.request_id).body) == spliced


def test_a_connection_serves_one_streamed_answer_after_another(gateway: Gateway) -> None:
    with gateway.connect() as client:
        for _ in range(3):
            client.send_request("POST", "/v1/chat/completions", {"model": "m", "stream": True})
            assert client.read_head() == 200
            assert client.read_body().endswith(b"data: [DONE]\n\n")
            assert client.is_whole


def test_pipelined_requests_are_answered_in_turn(gateway: Gateway) -> None:
    with gateway.connect() as client:
        for _ in range(2):
            client.send_request("POST", "/v1/chat/completions", {"model": "m", "stream": True})
        for _ in range(2):
            assert client.read_head() == 200
            assert client.read_body().endswith(b"data: [DONE]\n\n")


def test_a_request_that_comes_during_a_stream_is_answered_after_it(gateway: Gateway) -> None:
    with gateway.open_chat(fake={"interval": 0.1, "events": 4}) as client:
        pieces = client.body()
        next(pieces)

        client.send_request("GET", "/v1/models")

        assert list(pieces)[-1].endswith(b"data: [DONE]\n\n")
        assert client.read_head() == 200
        assert b"fake/model-1" in client.read_body()


def open_http_1_0(gateway: Gateway, **script: Any) -> RawClient:
    """A streamed chat asked for in HTTP/1.0, whose answer's head has been read."""
    body = json.dumps({"model": "m", "stream": True, "fake": script}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.0\r\nX-API-Key: {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client = RawClient(gateway.port)
    client.sock.sendall(head.encode() + body)
    client.read_head()
    return client


def test_http_1_0_gets_the_stream_up_to_the_close(gateway: Gateway) -> None:
    with open_http_1_0(gateway) as client:
        assert "transfer-encoding" not in client.headers
        assert client.read_body().endswith(b"data: [DONE]\n\n")


def test_http_1_0_sees_a_reset_where_a_close_would_look_like_the_end(gateway: Gateway) -> None:
    script = {"events": 9, "interval": 0.05, "fail_after": 3}
    with open_http_1_0(gateway, **script) as client, pytest.raises(ConnectionResetError):
        client.read_body()
