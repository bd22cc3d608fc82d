"""An answer that breaks off never looks finished, and says why where that can still be said."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fake_vllm import FakeVllm, FakeVllmThread, Received
from tests.gateway import Gateway, wait_until
from tests.local import free_port

FRAMINGS = ("chunked", "length", "close")


def last_event(body: bytes) -> dict[str, Any]:
    """The data of the last event, which must be complete."""
    assert body.endswith(b"\n\n")
    data = body.removesuffix(b"\n\n").split(b"\n\n")[-1].split(b"data: ", 1)[1]
    event: dict[str, Any] = json.loads(data)
    return event


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("failure", ["reset", "close", "half_event"])
def test_a_stream_that_breaks_ends_with_an_error_event_and_a_cut(
    gateway: Gateway, framing: str, failure: str
) -> None:
    script = {"framing": framing, "events": 6, "interval": 0.01, "fail_after": 3, "failure": failure}
    with gateway.open_chat(fake=script) as client:
        body = client.read_body()

    assert body.count(b'"delta"') == 3
    assert last_event(body)["error"]["code"] == "upstream_lost"
    assert b"[DONE]" not in body
    assert not client.is_whole
    assert gateway.log_line(request_id=client.request_id)["outcome"] == "upstream_lost"


@pytest.mark.parametrize(
    "script",
    [
        {"finish_reason": None},
        {"finish_reason": "abort"},
        {"done": False},
        {"done": False, "framing": "length"},
        {"done": False, "framing": "close"},
    ],
)
def test_a_stream_that_ends_politely_but_unfinished_is_broken(
    gateway: Gateway, script: dict[str, Any]
) -> None:
    with gateway.open_chat(fake=script) as client:
        body = client.read_body()

    assert last_event(body)["error"]["code"] == "upstream_lost"
    assert b"[DONE]" not in body
    assert not client.is_whole


@pytest.mark.parametrize(("target", "code"), [("/v1/messages", None), ("/v1/responses", "upstream_lost")])
def test_the_error_event_has_the_shape_of_its_api(gateway: Gateway, target: str, code: str | None) -> None:
    with gateway.connect() as client:
        client.send_request("POST", target, {"model": "m", "stream": True, "fake": {"done": False}})
        client.read_head()
        body = client.read_body()

    event = last_event(body)
    assert event["type"] == "error"
    assert event.get("code") == code
    assert event.get("error", {}).get("message", event.get("message"))
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


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("stream", [True, False])
def test_a_reset_right_behind_the_head_is_told_as_such(gateway: Gateway, framing: str, stream: bool) -> None:
    script = {"framing": framing, "fail_after": 0, "failure": "reset"}
    with gateway.connect() as client:
        body = {"model": "m", "stream": stream, "fake": script}
        client.send_request("POST", "/v1/chat/completions", body)
        status = client.read_head()
        try:
            told = client.read_body()
        except ConnectionResetError:
            told = b""

    assert (status, client.is_whole) == (200, False) or (status == 502 and b"upstream_" in told)


def test_a_repetition_end_is_told_as_length(gateway: Gateway, fake: FakeVllm) -> None:
    reply = gateway.chat(fake={"finish_reason": "repetition"}, stream_options={"include_usage": True})

    sent = fake.sent(reply.request_id)
    assert reply.body == sent.replace(b'"repetition"', b'"length"')


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_plain_answer_that_breaks_is_cut(gateway: Gateway, framing: str) -> None:
    script = {"framing": framing, "fail_after": 0, "failure": "reset"}
    with gateway.connect() as client:
        body = {"model": "m", "fake": script}
        client.send_request("POST", "/v1/chat/completions", body)
        client.read_head()
        client.read_body()

    assert not client.is_whole


def test_an_upstream_that_is_not_there_is_a_503_with_retry_after(start_gateway: Any) -> None:
    gateway = start_gateway(f"http://127.0.0.1:{free_port()}", STARTUP_HOLD_SECONDS=0)

    reply = gateway.chat()

    assert (reply.status, reply.error_code) == (503, "model_loading")
    assert 1 <= int(reply.headers["retry-after"]) <= 59


def test_an_upstream_that_sends_no_first_byte_is_a_504(start_gateway: Any) -> None:
    gateway = start_gateway(FIRST_BYTE_TIMEOUT_SECONDS=0.5)
    gateway.wait_ready()

    reply = gateway.chat(fake={"before_head": 5})

    assert (reply.status, reply.error_code) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    ("setting", "script", "code"),
    [
        ("FIRST_BYTE_TIMEOUT_SECONDS", {"before_first_event": 9}, "idle_timeout"),
        ("STREAM_IDLE_TIMEOUT_SECONDS", {"interval": 9}, "idle_timeout"),
        ("REQUEST_DEADLINE_SECONDS", {"interval": 0.1, "events": 99}, "deadline_exceeded"),
    ],
)
def test_each_limit_of_a_running_stream_has_its_own_error(
    start_gateway: Any, setting: str, script: dict[str, Any], code: str
) -> None:
    gateway = start_gateway(**{setting: 0.5})
    gateway.wait_ready()

    with gateway.open_chat(fake=script) as client:
        body = client.read_body()

    assert last_event(body)["error"]["code"] == code
    assert not client.is_whole


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


def test_a_header_that_may_not_be_sent_is_left_out(gateway: Gateway) -> None:
    reply = gateway.chat(fake={"headers": {"x-odd": "a\x01b", "x-even": "ab"}})

    assert reply.status == 200
    assert "x-odd" not in reply.headers
    assert reply.headers["x-even"] == "ab"


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


def test_an_error_whose_body_never_comes_is_a_504(start_gateway: Any) -> None:
    gateway = start_gateway(FIRST_BYTE_TIMEOUT_SECONDS=0.5)
    gateway.wait_ready()
    script = {"status": 400, "body": "{}", "framing": "length", "fail_after": 0, "failure": "hang"}

    reply = gateway.chat(fake=script)

    assert (reply.status, reply.error_code) == (504, "upstream_timeout")
