"""Requests that are malformed, too large or too slow are refused in one shape, and early."""

import json
import time
from contextlib import ExitStack
from typing import Any

import pytest

from tests.client_requests import without_salt
from tests.fake_vllm import FakeVllm
from tests.gateway import KEY, Gateway

CHAT = "/v1/chat/completions"
MALFORMED = [
    (b"GARBAGE\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\nHost: g\r\n\r\n", 400),
    (b"GET /health/live\r\n\r\n", 400),
    (b"get /health/live HTTP/1.1\r\nHost: g\r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\nHost: g\n\n", 400),
    (b"GET /health/live HTTP/1.1\r\nHost g\r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\r\nHost: \r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\r\nHost: g/?x\r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\r\nHost: g#\r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\r\nHost: g:99999\r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\r\nHost: g\r\n x: folded\r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\r\nHost: g\r\nX: a\x00b\r\n\r\n", 400),
    (b"GET /health/live HTTP/1.1\r\nHost: g\r\nExpect: the-unexpected\r\n\r\n", 417),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: g\r\n\r\n", 414),
    (b"GET /health/live HTTP/1.1\r\nHost: g\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
    (b"GET /health/live HTTP/1.1\r\nHost: g\r\n" + b"X: a\r\n" * 120 + b"\r\n", 431),
    (b"POST /tokenize HTTP/1.1\r\nHost: g\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST /tokenize HTTP/1.1\r\nHost: g\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (b"POST /tokenize HTTP/1.1\r\nHost: g\r\nContent-Length: 5\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST /tokenize HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    (b"POST /tokenize HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400),
]  # fmt: skip


def keyed_head(*lines: str) -> bytes:
    fields = [f"POST {CHAT} HTTP/1.1", "Host: g", f"X-API-Key: {KEY}", *lines]
    return "\r\n".join(fields).encode() + b"\r\n\r\n"


@pytest.mark.parametrize(("raw", "status"), MALFORMED)
def test_a_malformed_request_is_refused_in_json_and_closed(gateway: Gateway, raw: bytes, status: int) -> None:
    with gateway.connect() as client:
        client.sock.sendall(raw)

        assert client.read_head() == status
        assert json.loads(client.read_body())["error"]["code"] == "bad_request"
        assert client.request_id.startswith("req_")
        line = gateway.log_line(request_id=client.request_id)
        assert (line["status"], line["outcome"]) == (status, "bad_request")


@pytest.mark.parametrize(
    "chunks", [b"zz\r\nabc\r\n0\r\n\r\n", b"3\r\nabcX\r\n", b"-1\r\n", b"3;\x00\r\nabc\r\n0\r\n\r\n"]
)
def test_a_body_with_broken_chunks_is_a_400(gateway: Gateway, chunks: bytes) -> None:
    head = keyed_head("Content-Type: application/json", "Transfer-Encoding: chunked")
    with gateway.connect() as client:
        client.sock.sendall(head + chunks)

        assert client.read_head() == 400
        assert client.headers["connection"] == "close"


def test_a_chunked_body_is_forwarded_whole(gateway: Gateway, received: Any) -> None:
    head = keyed_head("Content-Type: application/json", "Transfer-Encoding: chunked")
    with gateway.connect() as client:
        client.sock.sendall(head + b'7\r\n{"model\r\n6;x=y\r\n": "m"\r\n1\r\n}\r\n0\r\n\r\n')

        assert client.read_head() == 200
        assert without_salt(received(client.request_id).body) == b'{"model": "m"}'
        client.read_body()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b"{", b'{"a":1}x', b'{"n":1,"n":2}', b'{"x":{"a":1,"a":2}}',
        b'{"temperature":NaN}', b'{"temperature":-Infinity}', b'{"temperature":-1e999}',
        b'{"user":"\\ud800"}',
        b'\xef\xbb\xbf{"model":"m"}', b'{"model":"\xff"}', b'{"n":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"a":[' + b"{}," * 150_000 + b"0]}",
        '{"model":"m"}'.encode("utf-16"),
    ],
)  # fmt: skip
def test_a_body_that_could_be_read_in_two_ways_is_a_400(
    gateway: Gateway, fake: FakeVllm, body: bytes
) -> None:
    before = len(fake.received)
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}

    reply = gateway.request("POST", CHAT, body, headers)

    assert (reply.status, reply.error_code) == (400, "invalid_json")
    assert not [r for r in fake.received[before:] if r.target == CHAT]


@pytest.mark.parametrize(
    ("field", "value"), [("stream", "yes"), ("model", 7), ("stream_options", "all"), ("stream", 1)]
)
def test_a_field_of_the_wrong_type_is_named(gateway: Gateway, field: str, value: Any) -> None:
    reply = gateway.post(CHAT, {"model": "m", field: value})

    assert (reply.status, reply.error_code) == (400, "invalid_field")
    assert reply.json()["error"]["param"] == field


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonx"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json, application/json"},
        {"Content-Type": "application/json;charset=utf-7"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "APPLICATION/JSON5"},
        {"Content-Type": ""},
        *(
            {"Content-Encoding": coding}
            for coding in ("gzip", "br", "zstd", "deflate", "x", "gzip, identity")
        ),
    ],
)
def test_what_is_not_plain_json_is_a_415(gateway: Gateway, headers: dict[str, str]) -> None:
    reply = gateway.request("POST", CHAT, b"{}", {"X-API-Key": KEY, **headers})

    assert (reply.status, reply.error_code) == (415, "unsupported_media_type")


def test_a_declared_length_over_the_limit_is_refused_before_the_body_comes(
    gateway: Gateway,
) -> None:
    head = keyed_head("Content-Type: application/json", f"Content-Length: {2**40}")
    with gateway.connect() as client:
        client.sock.sendall(head)

        assert client.read_head() == 413
        assert client.headers["connection"] == "close"


def test_a_client_that_sends_all_of_a_large_body_first_still_reads_the_413(
    start_gateway: Any,
) -> None:
    gateway = start_gateway(MAX_REQUEST_BYTES=1000)

    reply = gateway.post(CHAT, {"model": "m", "user": "x" * 5_000_000})

    assert (reply.status, reply.error_code) == (413, "request_too_large")


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(999, 200), (1000, 200), (1001, 413)])
def test_the_limit_on_a_body_is_exact(start_gateway: Any, framing: str, size: int, status: int) -> None:
    gateway = start_gateway(MAX_REQUEST_BYTES=1000)
    gateway.wait_ready()
    body = json.dumps({"model": "m", "user": ""})
    body = body.replace('""', '"' + "x" * (size - len(body)) + '"')
    is_chunked = framing == "chunked"
    told = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {size}"
    wire = f"{size:x}\r\n{body}\r\n0\r\n\r\n" if is_chunked else body
    with gateway.connect() as client:
        client.sock.sendall(keyed_head("Content-Type: application/json", told) + wire.encode())

        assert client.read_head() == status
        assert client.headers["connection"] == ("close" if status == 413 else "keep-alive")


def test_a_chunked_body_over_the_limit_is_a_413(start_gateway: Any) -> None:
    gateway = start_gateway(MAX_REQUEST_BYTES=1000)
    head = keyed_head("Content-Type: application/json", "Transfer-Encoding: chunked")
    with gateway.connect() as client:
        client.sock.sendall(head + b"800\r\n" + b"x" * 2048 + b"\r\n")

        assert client.read_head() == 413


def test_consent_to_send_a_body_comes_only_after_the_checks(gateway: Gateway) -> None:
    length = ("Content-Type: application/json", "Content-Length: 14", "Expect: 100-continue")
    with gateway.connect() as client:
        client.sock.sendall(keyed_head(*length))
        assert client.read_head() == 100
        client.sock.sendall(b'{"model": "m"}')
        assert client.read_head() == 200

    with gateway.connect() as client:
        client.sock.sendall(keyed_head(*length).replace(KEY.encode(), b"sk-wrong"))
        assert client.read_head() == 401


def test_a_body_that_stops_half_way_is_not_forwarded(gateway: Gateway, fake: FakeVllm) -> None:
    before = len(fake.received)
    with gateway.connect() as client:
        head = keyed_head("Content-Type: application/json", "Content-Length: 100")
        client.sock.sendall(head + b'{"model"')
        client.sock.shutdown(1)
        client.read_to_end()

    assert not [r for r in fake.received[before:] if r.target == CHAT]


def test_a_body_that_was_compressed_for_the_transfer_is_refused(gateway: Gateway) -> None:
    head = keyed_head("Content-Type: application/json", "Transfer-Encoding: gzip, chunked")
    with gateway.connect() as client:
        client.sock.sendall(head + b"2\r\n{}\r\n0\r\n\r\n")

        assert client.read_head() == 400


def test_an_upgrade_is_not_taken(gateway: Gateway) -> None:
    headers = {"X-API-Key": KEY, "Connection": "Upgrade", "Upgrade": "websocket"}

    assert gateway.request("GET", "/v1/models", headers=headers).status == 200


def test_a_head_that_does_not_end_in_time_is_a_408(gateway: Gateway) -> None:
    with gateway.connect() as client:
        client.sock.settimeout(15)
        started = time.monotonic()
        client.sock.sendall(b"GET /health/live HTTP/1.1\r\nHost: g\r\n")

        assert client.read_head() == 408
        assert time.monotonic() - started < 11


def test_a_body_that_does_not_come_in_time_is_a_408(gateway: Gateway) -> None:
    with gateway.connect() as client:
        client.sock.settimeout(15)
        started = time.monotonic()
        client.sock.sendall(keyed_head("Content-Type: application/json", "Content-Length: 14") + b'{"model"')

        assert client.read_head() == 408
        assert client.headers["connection"] == "close"
        assert 10 <= time.monotonic() - started < 12


def test_a_request_id_is_ours_and_the_clients_is_only_logged(gateway: Gateway) -> None:
    headers = {"X-Request-Id": "from\tthe client"}

    reply = gateway.request("GET", "/health/nothing", headers=headers)

    assert reply.request_id.startswith("req_")
    line = gateway.log_line(request_id=reply.request_id)
    assert line["client_request_id"] == "from?the client"


def test_idle_connections_never_keep_a_new_client_out(start_gateway: Any) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=1, GUNICORN_CMD_ARGS="--worker-connections 20")
    with ExitStack() as idle:
        for _ in range(30):
            client = idle.enter_context(gateway.connect())
            client.send_request("GET", "/health/live")
            assert client.read_head() == 200
            client.read_body()
