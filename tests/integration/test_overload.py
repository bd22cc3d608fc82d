"""What is more than the gateway can carry is refused at once, and what it carries goes on."""

import json
import os
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import psutil
import pytest

from tests.client import RawClient
from tests.fake_vllm import FakeVllmThread
from tests.gateway import Gateway, chat_body, wait_until

CHAT = "/v1/chat/completions"
ENDLESS = {"interval": 0.1, "events": 10_000}
AT_ONCE_SECONDS = 1.0
HELD = {"before_head": 6}  # until all of them have come


def assert_overloaded(client: RawClient) -> None:
    started = time.monotonic()
    assert client.read_head() == 503
    assert json.loads(client.read_body())["error"]["code"] == "overloaded"
    assert 1 <= int(client.headers["retry-after"]) <= 59
    assert time.monotonic() - started < AT_ONCE_SECONDS


def asks(gateway: Gateway, **fields: Any) -> RawClient:
    client = gateway.connect()
    client.send_request("POST", CHAT, chat_body(stream=True, **fields))
    return client


def test_one_request_too_many_is_refused_until_another_ends(start_gateway: Any) -> None:
    gateway = start_gateway(MAX_CONCURRENT_REQUESTS=3)
    gateway.wait_ready()
    with ExitStack() as running:
        clients = [running.enter_context(gateway.open_chat(fake=ENDLESS)) for _ in range(3)]
        with asks(gateway) as refused:
            assert_overloaded(refused)

        clients[0].sock.close()

        wait_until(lambda: gateway.chat().status == 200)


def test_a_worker_that_is_killed_takes_its_load_with_it(start_gateway: Any) -> None:
    gateway = start_gateway(MAX_CONCURRENT_REQUESTS=2, WEB_CONCURRENCY=1)
    gateway.wait_ready()
    with gateway.open_chat(fake=ENDLESS), gateway.open_chat(fake=ENDLESS):
        assert gateway.chat().status == 503

        (worker,) = gateway.worker_pids()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: gateway.is_alive() and gateway.worker_pids() != {worker})

        assert gateway.chat().status == 200


def test_requests_of_every_worker_count(start_gateway: Any) -> None:
    gateway = start_gateway(MAX_CONCURRENT_REQUESTS=10, WEB_CONCURRENCY=4)
    gateway.wait_ready()
    with ExitStack() as running:
        for _ in range(10):
            running.enter_context(gateway.open_chat(fake=ENDLESS))

        assert [gateway.chat().status for _ in range(8)] == [503] * 8


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_bodies_that_wait_are_bounded_in_all(start_gateway: Any, framing: str) -> None:
    gateway = start_gateway(MAX_REQUEST_BYTES=1_000_000, MAX_BUFFERED_BYTES=1_500_000, WEB_CONCURRENCY=1)
    gateway.wait_ready()
    with (
        asks(gateway, user="x" * 900_000, fake={"before_head": 2, **ENDLESS}) as first,
        gateway.connect() as second,
    ):
        wait_until(lambda: gateway.request("GET", "/health/live").status == 200)
        body = json.dumps(chat_body(stream=True, user="y" * 900_000)).encode()
        if framing == "length":
            second.send_request("POST", CHAT, Content_Type="application/json", Content_Length=str(len(body)))
        else:
            second.send_request("POST", CHAT, Content_Type="application/json", Transfer_Encoding="chunked")
            second.sock.sendall(b"%x\r\n%b\r\n" % (len(body), body))
        assert_overloaded(second)

        assert first.read_head() == 200  # from here on its body is needed no more
        assert gateway.chat(user="y" * 900_000).status == 200


def test_twice_as_many_clients_as_connections_are_all_served_but_strangers(start_gateway: Any) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=1, GUNICORN_CMD_ARGS="--worker-connections 20")
    gateway.wait_ready()
    with ExitStack() as opened:
        clients = [opened.enter_context(asks(gateway, fake=ENDLESS)) for _ in range(40)]
        statuses = [client.read_head() for client in clients]
        probe = gateway.request("GET", "/health/live")
        with gateway.connect() as stranger:
            stranger.send_request("POST", CHAT, chat_body(stream=True), X_API_Key="")
            assert_overloaded(stranger)

    assert set(statuses) == {200}
    assert probe.status == 200
    wait_until(lambda: gateway.chat().status == 200)


def test_an_extra_connection_that_asks_nothing_is_closed_soon(start_gateway: Any) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=1, GUNICORN_CMD_ARGS="--worker-connections 5")
    gateway.wait_ready()
    with ExitStack() as opened:
        for _ in range(5):
            opened.enter_context(asks(gateway, fake=ENDLESS)).read_head()
        with gateway.connect() as silent:
            started = time.monotonic()

            assert silent.read_to_end() == b""
            assert time.monotonic() - started < 3


def test_a_hundred_large_bodies_stay_below_the_memory_limit(tmp_path: Any) -> None:
    """Each worker may have 512 MiB of address space more than it has at the start; none dies of it."""
    settings = {"MAX_BUFFERED_BYTES": 64 * 1024 * 1024, "WEB_CONCURRENCY": 1}
    with FakeVllmThread() as upstream, Gateway(tmp_path, upstream.url, **settings) as gateway:
        gateway.wait_ready()
        (worker,) = gateway.worker_pids()
        limit_memory(worker, 512 * 1024 * 1024)
        with ExitStack() as opened:
            clients = [
                opened.enter_context(asks(gateway, user="x" * 1024 * 1024, fake=HELD)) for _ in range(100)
            ]
            statuses = [client.read_head() for client in clients]

        assert gateway.worker_pids() == {worker}
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 50


def test_a_client_that_sends_ahead_waits_for_its_turn(start_gateway: Any) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=1)
    gateway.wait_ready()
    (worker,) = gateway.worker_pids()
    count = 300  # as many answers as the buffers between us take, so that nothing else makes the worker wait
    with gateway.connect() as hasty, gateway.connect() as other:
        os.kill(worker, signal.SIGSTOP)
        hasty.sock.sendall(b"GET /nothing HTTP/1.1\r\nHost: g\r\n\r\n" * count)
        other.send_request("GET", "/v1/models")
        os.kill(worker, signal.SIGCONT)
        assert other.read_head() == 200
        wait_until(lambda: len(gateway.log_lines(message="request", status=404)) == count)

    statuses = [line["status"] for line in gateway.log_lines(message="request")]
    assert statuses.index(200) < len(statuses) - 1


@pytest.mark.parametrize("stream", [True, False])
def test_who_sends_ahead_more_than_is_kept_hears_that_nothing_follows(gateway: Gateway, stream: bool) -> None:
    with gateway.connect() as hasty:
        hasty.send_request("POST", CHAT, chat_body(stream=stream, fake={"before_head": 3}))
        hasty.sock.sendall(b"GET /nothing HTTP/1.1\r\nHost: g\r\n\r\n" * 4000)

        assert hasty.read_head() == 200
        assert hasty.headers["connection"] == "close"
        hasty.read_body()
        assert hasty.is_whole


def test_a_body_of_dust_keeps_nobody_waiting(start_gateway: Any) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=1)
    gateway.wait_ready()
    with gateway.connect() as dusty, ThreadPoolExecutor(1) as pool:
        dusty.send_request("POST", CHAT, Content_Type="application/json", Transfer_Encoding="chunked")
        sending = pool.submit(send_dust, dusty)

        started = time.monotonic()
        assert gateway.request("GET", "/health/live").status == 200
        assert time.monotonic() - started < 5
        sending.result()

        assert dusty.read_head() == 400
        assert dusty.headers["connection"] == "close"


def send_dust(client: RawClient) -> None:
    """More chunks than a body may have, of one byte each."""
    with suppress(ConnectionError):
        for _ in range(1000):
            client.sock.sendall(b"1\r\nx\r\n" * 1000)


def limit_memory(pid: int, more: int) -> None:
    limit = psutil.Process(pid).memory_info().vms + more
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
