"""A client that leaves frees the upstream within a second, whatever it was waiting for."""

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.client import RawClient
from tests.fake_vllm import FakeVllm, Received
from tests.gateway import Gateway, chat_body, wait_until


def open_request(server: FakeVllm, gateway: Gateway, marker: str, **fields: Any) -> Any:
    """Send a chat and wait until the upstream has it; returns the socket and what was received."""
    client = gateway.connect()
    body = chat_body(user=marker, **fields)
    client.send_request("POST", "/v1/chat/completions", body)
    needle = marker.encode()
    received = wait_until(lambda: next((r for r in server.received if needle in r.body), None))
    return client, received


@pytest.mark.parametrize(
    ("stream", "script"),
    [
        (True, {"before_head": 30}),
        (False, {"before_head": 30}),
        (True, {"before_first_event": 30}),
        (True, {"interval": 30}),
        (True, {"interval": 0.01, "events": 10_000}),
        (False, {"fail_after": 0, "failure": "hang"}),
    ],
    ids=["queued", "queued-plain", "prefill", "mid-stream", "busy-stream", "mid-answer"],
)
def test_the_upstream_connection_closes_within_a_second(
    gateway: Gateway, fake: FakeVllm, request: pytest.FixtureRequest, stream: bool, script: Any
) -> None:
    client, received = open_request(fake, gateway, request.node.name, stream=stream, fake=script)

    left_at = time.monotonic()
    client.sock.close()
    wait_until(lambda: received.client_left_at)

    assert received.client_left_at - left_at < 1.0
    line = gateway.log_line(request_id=received.request_id)
    assert line["outcome"] == "client_gone"


def test_a_client_that_pipelined_before_it_left_is_noticed_too(gateway: Gateway, fake: FakeVllm) -> None:
    client, received = open_request(
        fake, gateway, "pipelined-and-left", stream=True, fake={"before_head": 30}
    )

    client.send_request("GET", "/v1/models")
    client.sock.close()

    wait_until(lambda: received.client_left_at)


def flood(client: RawClient) -> None:
    for _ in range(32):
        client.sock.sendall(b"x" * 65536)


def test_a_client_that_flooded_before_it_left_is_noticed_too(gateway: Gateway, fake: FakeVllm) -> None:
    client, received = open_request(fake, gateway, "flooded-and-left", stream=True, fake={"before_head": 30})

    flood(client)
    left_at = time.monotonic()
    client.sock.shutdown(socket.SHUT_WR)

    wait_until(lambda: received.client_left_at)
    assert received.client_left_at - left_at < 1.0
    client.sock.close()


def test_a_client_that_floods_gets_its_answer_and_nothing_more(gateway: Gateway, fake: FakeVllm) -> None:
    client, _ = open_request(fake, gateway, "flooded", stream=True, fake={"interval": 0.1})

    flood(client)

    assert client.read_head() == 200
    assert client.read_body().endswith(b"data: [DONE]\n\n")
    assert client.read_to_end() == b""
    client.sock.close()


def test_a_hundred_abandoned_streams_leave_no_connection_behind(gateway: Gateway, fake: FakeVllm) -> None:
    opened = [
        open_request(fake, gateway, f"abandoned-{n}", stream=True, fake={"interval": 30}) for n in range(100)
    ]

    for client, _ in opened:
        client.sock.close()

    for _, received in opened:
        wait_until(lambda received=received: received.client_left_at)
    assert gateway.chat().status == 200


def test_clients_that_leave_at_once_drop_no_pooled_connection(start_gateway: Any) -> None:
    """One that nobody holds any more is closed by the garbage collector, which says so in the log."""
    gateway = start_gateway(WEB_CONCURRENCY=1)
    gateway.wait_ready()
    for number in range(2000):
        with gateway.connect() as client:
            client.send_request("POST", "/v1/chat/completions", chat_body(stream=True))
            if number % 4:
                time.sleep(number % 16 / 10_000)  # not to wait for anything: to leave at many moments
            else:
                client.read_head()
                client.read_body()

    assert "Exception ignored" not in gateway.log_file.read_text()


@pytest.mark.parametrize("stream", [True, False])
def test_a_whole_answer_gives_its_connection_back(
    gateway: Gateway, received: Callable[[str], Received], stream: bool
) -> None:
    with gateway.connect() as client:

        def connection_of_next() -> int:
            client.send_request("POST", "/v1/chat/completions", chat_body(stream=stream))
            client.read_head()
            client.read_body()
            return received(client.request_id).connection

        pairs = ((connection_of_next(), connection_of_next()) for _ in range(10))

        assert any(first == second for first, second in pairs)  # a probe may come between


@pytest.mark.parametrize(
    ("setting", "limit", "seconds"),
    # The deadline runs from the request's start: it has to leave time to fill the buffers before.
    [("REQUEST_DEADLINE_SECONDS", 3, 6.0), ("CLIENT_STALL_TIMEOUT_SECONDS", 1, 8.0)],
)
def test_a_client_that_never_reads_is_cut_and_frees_the_upstream(
    start_gateway: Any, fake: FakeVllm, setting: str, limit: int, seconds: float
) -> None:
    gateway = start_gateway(**{setting: limit})
    gateway.wait_ready()
    script = {"events": 12, "event_bytes": 1_000_000}  # what is left of one fits into no buffer
    client, received = open_request(fake, gateway, f"never-reads-{setting}", stream=True, fake=script)
    with client:
        wait_until(lambda: received.client_left_at, seconds)

        line = gateway.log_line(request_id=received.request_id)
        assert line["outcome"] == "client_stalled"
        with pytest.raises(ConnectionResetError):  # nothing of the answer stays in our send buffer
            client.read_to_end()
