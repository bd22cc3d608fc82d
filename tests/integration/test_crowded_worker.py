"""Connections that only wait make room for clients with a key before those are turned away."""

import itertools
import select
import time
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from app.connection import LINGER_SECONDS, SEND_SECONDS
from app.crowd import EXTRA, MAX_CLOSING, PATIENCE_SECONDS
from tests.client import RawClient
from tests.gateway import Gateway, wait_until

PLACES = 20
SOON_SECONDS = 6.0  # well below the limit on heads, which frees a place too
CHAT = "/v1/chat/completions"
ENDLESS: dict[str, Any] = {"interval": 0.1, "events": 10_000}
HALF_A_HEAD = b"GET /health/live HTTP/1.1\r\nHost: g\r\n"
WRONG_UPLOAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nX-API-Key: sk-wrong-0123456789abcdef\r\n"
    b"Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
)


@pytest.fixture
def small(start_gateway: Any) -> Gateway:
    """A gateway of one worker that is meant to carry twenty connections."""
    gateway: Gateway = start_gateway(WEB_CONCURRENCY=1, GUNICORN_CMD_ARGS=f"--worker-connections {PLACES}")
    gateway.wait_ready()
    return gateway


def fill(gateway: Gateway, opened: ExitStack, data: bytes, times: int = PLACES) -> list[RawClient]:
    clients = [opened.enter_context(gateway.connect()) for _ in range(times)]
    for client in clients:
        client.sock.sendall(data)
    return clients


def send_until_full(client: RawClient, data: bytes) -> None:
    with suppress(OSError):  # also when it had to make room already
        while True:
            client.sock.sendall(data)


@pytest.mark.parametrize("data", [b"", HALF_A_HEAD], ids=["silent", "half a head"])
def test_a_client_without_a_whole_request_makes_room(small: Gateway, data: bytes) -> None:
    with ExitStack() as opened:
        fill(small, opened, data)

        wait_until(lambda: small.chat().status == 200, SOON_SECONDS)


def test_a_stranger_who_reads_no_answer_makes_room(small: Gateway) -> None:
    asked = b"GET /nothing HTTP/1.1\r\nHost: g\r\n\r\n" * 2000
    with ExitStack() as opened:
        clients = [opened.enter_context(RawClient(small.port, receive_buffer=4096)) for _ in range(PLACES)]
        for client in clients:
            client.sock.settimeout(0.2)
            send_until_full(client, asked)

        wait_until(lambda: small.chat().status == 200, SEND_SECONDS / 2)


def test_idle_strangers_go_before_idle_clients_with_a_key(small: Gateway) -> None:
    with ExitStack() as opened:
        known = opened.enter_context(small.connect())
        known.send_request("GET", "/v1/models")
        known.read_head()
        known.read_body()
        for _ in range(3 * PLACES):
            (stranger,) = fill(small, opened, b"GET /nothing HTTP/1.1\r\nHost: g\r\n\r\n", 1)
            stranger.read_head()

        known.send_request("GET", "/v1/models")

        assert known.read_head() == 200


def test_a_stranger_who_opens_again_whatever_was_closed_keeps_no_key_out(small: Gateway) -> None:
    statuses, reopened = [], []
    with ExitStack() as opened:
        strangers = fill(small, opened, b"", 3 * PLACES)
        while len(reopened) < 3 * PLACES:
            statuses.append(small.chat().status)
            closed, _, _ = select.select([client.sock for client in strangers], [], [], 0)
            reopened += closed
            strangers = [client for client in strangers if client.sock not in closed]
            strangers += fill(small, opened, b"", len(closed))

    assert set(statuses) == {200}


def test_who_is_served_is_never_evicted(small: Gateway) -> None:
    with ExitStack() as opened:
        slow = opened.enter_context(small.connect())
        slow.send_request("POST", CHAT, Content_Type="application/json", Content_Length="14")
        streams = [opened.enter_context(small.open_chat(fake=ENDLESS)) for _ in range(PLACES - 1)]
        for _ in itertools.islice(streams[-1].body(), int(2 * PATIENCE_SECONDS / ENDLESS["interval"])):
            pass
        for newcomer in fill(small, opened, HALF_A_HEAD + b"\r\n", PLACES):
            assert newcomer.read_head() == 200

        slow.sock.sendall(b'{"model": "m"}')

        assert slow.read_head() == 200
        for stream in streams:
            assert next(stream.body())


def test_a_burst_of_new_clients_loses_nobody(small: Gateway) -> None:
    with ExitStack() as opened:
        for _ in range(PLACES):
            opened.enter_context(small.open_chat(fake=ENDLESS))
        burst = fill(small, opened, b"GET /health/live HTTP/1.1\r\nHost: g\r\n\r\n", 60)

        assert {client.read_head() for client in burst} == {200}


def test_refused_uploads_that_go_on_take_no_places(small: Gateway) -> None:
    with ExitStack() as opened:
        refused = fill(small, opened, WRONG_UPLOAD, PLACES + EXTRA + MAX_CLOSING)
        assert {client.read_head() for client in refused} <= {401, 503}
        began = time.monotonic()

        assert small.chat().status == 200
        assert time.monotonic() - began < LINGER_SECONDS / 2


def test_many_requests_at_once_on_one_connection_take_turns_with_others(small: Gateway) -> None:
    asked = b"GET /nothing HTTP/1.1\r\nHost: g\r\n\r\n"
    times = 240  # what the parser reads at once
    with ExitStack() as opened:
        other = opened.enter_context(small.connect())
        greedy = fill(small, opened, asked * times, 15)
        other.send_request("GET", "/health/live")
        assert other.read_head() == 200
        answered = sum(client.sock.recv(9_999_999).count(b"HTTP/1.1 404 ") for client in greedy)

    assert answered < 15 * times
