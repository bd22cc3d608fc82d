"""What the upstream may not say reaches no client, and its errors become errors that clients can read."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fake_vllm import FakeVllm, FakeVllmThread, Received
from tests.gateway import Gateway, wait_until
from tests.local import free_port


def last_event(body: bytes) -> dict[str, Any]:
    """The data of the last event, which must be complete."""
    assert body.endswith(b"\n\n")
    data = body.removesuffix(b"\n\n").split(b"\n\n")[-1].split(b"data: ", 1)[1]
    event: dict[str, Any] = json.loads(data)
    return event


@pytest.mark.parametrize("reason", [None, "abort", "error", "unheard-of"])
def test_a_choice_that_ends_without_a_known_reason_is_broken(gateway: Gateway, reason: str | None) -> None:
    with gateway.open_chat(fake={"finish_reason": reason}) as client:
        body = client.read_body()

    assert last_event(body)["error"]["code"] == "upstream_lost"
    assert b"[DONE]" not in body
    assert not client.is_whole


def test_an_error_that_the_upstream_reports_in_the_stream_is_passed_on_and_cut(
    gateway: Gateway,
) -> None:
    script = {"fail_after": 2, "failure": "error_event"}
    with gateway.open_chat(fake=script) as client:
        body = client.read_body()

    assert last_event(body)["error"]["message"] == "engine died"
    assert body.count(b'"error"') == 1
    assert not client.is_whole


def test_a_repetition_end_is_told_as_length(gateway: Gateway, fake: FakeVllm) -> None:
    reply = gateway.chat(fake={"finish_reason": "repetition"}, stream_options={"include_usage": True})

    sent = fake.sent(reply.request_id)
    assert reply.body == sent.replace(b'"repetition"', b'"length"')


def test_an_upstream_that_is_not_there_is_a_503_with_retry_after(start_gateway: Any) -> None:
    gateway = start_gateway(f"http://127.0.0.1:{free_port()}", STARTUP_HOLD_SECONDS=0)

    reply = gateway.chat()

    assert (reply.status, reply.error_code) == (503, "model_loading")
    assert 1 <= int(reply.headers["retry-after"]) <= 59


@pytest.mark.parametrize(
    "script",
    [
        {"status": 307, "headers": {"location": "http://elsewhere/"}},
        {"headers": {"content-encoding": "gzip"}},
    ],
    ids=["redirect", "compressed"],
)
def test_a_stream_that_cannot_be_passed_on_is_a_502_and_ends(
    gateway: Gateway, received: Callable[[str], Received], script: dict[str, Any]
) -> None:
    with gateway.open_chat(fake={"interval": 30, **script}) as client:
        assert client.status == 502
        assert b'"upstream_error"' in client.read_body()
        assert "location" not in client.headers
        wait_until(lambda: received(client.request_id).client_left_at)


@pytest.mark.parametrize("line", ["X Y: 1", "no colon", "X(: a"])
def test_a_head_with_a_line_that_is_no_field_is_never_half_understood(tmp_path: Any, line: str) -> None:
    with FakeVllmThread() as upstream, Gateway(tmp_path, upstream.url) as gateway:
        gateway.wait_ready()
        upstream.fake.extra_head_line = line

        reply = gateway.chat(stream_options={"include_usage": True})

    is_right = reply.status == 200 and reply.body == upstream.fake.sent(reply.request_id)
    assert is_right or (reply.status, reply.error_code) == (502, "upstream_error")


def test_json_in_answer_to_a_wish_for_a_stream_is_a_502(gateway: Gateway) -> None:
    reply = gateway.chat(fake={"body": '{"choices": []}'})

    assert (reply.status, reply.error_code) == (502, "upstream_error")


@pytest.mark.parametrize(
    ("script", "status", "message"),
    [
        ({"status": 400, "body": '{"error":{"message":"too long","code":400}}'}, 400, "too long"),
        ({"status": 422, "body": '{"detail":"no such field"}'}, 422, "no such field"),
        ({"status": 429, "body": '{"error":"slow down"}'}, 429, "slow down"),
        ({"status": 500, "body": "<html>oops</html>"}, 500, "The model server refused the request."),
        ({"status": 401, "body": '{"error":"Unauthorized"}'}, 502, None),
        ({"status": 500, "body": "x" * 70_000}, 500, "The model server refused the request."),
        ({"status": 400, "body": '{"error":' + "[" * 60_000}, 400, "The model server refused the request."),
        (
            {"status": 400, "body": '{"é"}', "encoding": "latin-1"},
            400,
            "The model server refused the request.",
        ),
        ({"status": 999, "body": "{}"}, 502, None),
    ],
)
def test_an_error_of_the_upstream_is_an_error_that_clients_can_read(
    gateway: Gateway, script: dict[str, Any], status: int, message: str | None
) -> None:
    reply = gateway.chat(fake=script)

    assert reply.status == status
    assert message is None or reply.json()["error"]["message"] == message


@pytest.mark.parametrize(
    "body",
    [
        '{ "error" : {"message":"m","type":"BadRequestError","param":null,"code":400} }',
        '{"object": "error", "message": "context too long", "code": 40001}',
        '["unusual"]',
    ],
)
def test_another_error_body_in_json_passes_byte_for_byte(gateway: Gateway, body: str) -> None:
    reply = gateway.chat(fake={"status": 400, "body": body})

    assert reply.body == body.encode()


@pytest.mark.parametrize(
    ("given", "told"), [(None, "5"), ("7", "7"), ("3600", "59"), ("0", "1"), ("Sun, 06 Nov 1994", "5")]
)
def test_a_busy_upstream_is_asked_again_soon(gateway: Gateway, given: str | None, told: str) -> None:
    headers = {} if given is None else {"retry-after": given}
    script = {"status": 503, "body": '{"error":{"message":"queue full"}}', "headers": headers}

    reply = gateway.chat(fake=script)

    assert (reply.status, reply.headers["retry-after"]) == (503, told)
