"""Workers are replaced, and may be killed, without anyone but their own clients noticing."""

import os
import signal
import threading
from contextlib import ExitStack, suppress
from typing import Any

import psutil

from tests.client import RawClient
from tests.gateway import Gateway, wait_until


def ask_on_kept_connections(gateway: Gateway, stop: threading.Event, failures: list[int]) -> None:
    """Ask again and again, on one connection for as long as the gateway keeps it."""
    while not stop.is_set():
        with gateway.connect() as client:
            client.headers["connection"] = "keep-alive"
            while client.headers["connection"] == "keep-alive" and not stop.is_set():
                client.send_request("GET", "/v1/models")
                failures += [client.status] if client.read_head() != 200 else []
                client.read_body()


def test_sighup_loses_no_request_and_no_stream(start_gateway: Any) -> None:
    gateway = start_gateway()
    gateway.wait_ready()
    failures: list[int] = []
    stop = threading.Event()
    arguments = (gateway, stop, failures)
    askers = [threading.Thread(target=ask_on_kept_connections, args=arguments) for _ in range(4)]
    with gateway.open_chat(keep=False, fake={"interval": 0.2, "events": 9}) as stream:
        for asker in askers:
            asker.start()
        for _ in range(3):
            before = gateway.worker_pids()
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda before=before: gateway.worker_pids() - before, 15.0)
        body = stream.read_body()
        stop.set()
        for asker in askers:
            asker.join()

    assert failures == []
    assert stream.is_whole
    assert body.endswith(b"data: [DONE]\n\n")


def test_sighup_with_a_missing_key_file_keeps_serving(start_gateway: Any) -> None:
    gateway = start_gateway()
    gateway.wait_ready()
    gateway.keys_file.unlink()
    before = gateway.worker_pids()

    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not before & gateway.worker_pids() and len(gateway.worker_pids()) == 2)

    assert gateway.chat().status == 200


def test_a_new_worker_that_dies_is_replaced_while_an_old_one_still_streams(start_gateway: Any) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=1)
    gateway.wait_ready()
    with gateway.open_chat(fake={"interval": 0.1, "events": 100}):
        (old,) = gateway.worker_pids()
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(gateway.worker_pids()) == 2)
        os.kill((gateway.worker_pids() - {old}).pop(), signal.SIGKILL)

        wait_until(lambda: answers(gateway), 15.0)

        assert old in gateway.worker_pids()


def test_a_killed_worker_hurts_only_its_own_streams(start_gateway: Any) -> None:
    gateway = start_gateway()
    gateway.wait_ready()
    wait_until(lambda: len(gateway.worker_pids()) == 2)
    script = {"interval": 0.05, "events": 40}
    clients: list[RawClient] = []
    with ExitStack() as opened:
        # The second worker may begin to take connections later than the first.
        while len(clients) < 30 or not all(clients_of(pid, clients) for pid in gateway.worker_pids()):
            clients.append(opened.enter_context(gateway.open_chat(keep=False, fake=script)))
        killed, *_ = sorted(gateway.worker_pids(), key=lambda pid: len(clients_of(pid, clients)))
        hurt = clients_of(killed, clients)
        os.kill(killed, signal.SIGKILL)
        whole = {client.port for client in clients if is_whole(client)}

    assert hurt
    assert whole == {client.port for client in clients} - hurt
    assert len(whole) >= 15


def clients_of(pid: int, clients: list[RawClient]) -> set[int]:
    """The ports of those that this worker serves."""
    connections = psutil.Process(pid).net_connections("tcp")
    return {each.raddr.port for each in connections if each.raddr} & {client.port for client in clients}


def is_whole(client: RawClient) -> bool:
    with suppress(ConnectionResetError):
        client.read_body()
    return client.is_whole


def test_killed_workers_are_replaced_at_once(start_gateway: Any) -> None:
    gateway = start_gateway()
    gateway.wait_ready()

    gateway.kill_workers()

    wait_until(lambda: answers(gateway), 1.0)
    assert gateway.chat().status == 200


def answers(gateway: Gateway) -> bool:
    try:
        return gateway.request("GET", "/health/live").status == 200
    except OSError:
        return False
