"""What is kept equals what the upstream says it sent, to the token, over restarts of every kind."""

import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import psutil

from tests.fake_vllm import FakeVllm, FakeVllmThread
from tests.gateway import Gateway, wait_until
from tests.usage_command import UsageCommand
from tests.usage_traffic import NAMES, Traffic, open_hanging, settled_usage, tokens_of, write_keys

REQUESTS = 1000


def lines_of(gateway: Gateway) -> list[dict[str, Any]]:
    """What its log says of requests to the upstream."""
    lines = gateway.log_lines(message="request")
    return [line for line in lines if line["key_name"] in NAMES]


def end(gateway: Gateway) -> list[dict[str, Any]]:
    """Stop it as an operator does; its lines."""
    gateway.process.terminate()
    assert gateway.process.wait(15) == 0
    return lines_of(gateway)


def expect(report: dict[str, Any], lines: list[dict[str, Any]], fake: FakeVllm, traffic: Traffic) -> None:
    """The report has each request once, with the upstream's own numbers where the answer was whole."""
    told = {received.request_id: received.told for received in fake.received}
    whole = {line["request_id"] for line in lines if line["usage_is_partial"] is False}
    assert traffic.whole <= whole
    sent = [told[request_id] for request_id in whole]
    assert None not in sent, "an answer counted as whole that the upstream had not sent to its end"

    totals, rows = report["totals"], report["rows"]
    partial = tokens_of([totals], "partial_")
    counted = [all_of - part for all_of, part in zip(tokens_of([totals]), partial, strict=True)]
    assert counted == [sum(numbers) for numbers in zip(*sent, strict=True)]  # type: ignore[arg-type]
    assert tokens_of(rows) == tokens_of([totals])
    assert totals["requests"] == len(lines)
    assert totals["partial_answers"] == sum(line["usage_is_partial"] is True for line in lines) > 0
    assert partial[2] == sum(line["completion_tokens"] for line in lines if line["usage_is_partial"])
    for name in NAMES:
        mine = [row for row in rows if row["key"] == name]
        assert sum(row["requests"] for row in mine) == sum(line["key_name"] == name for line in lines)


def test_a_thousand_mixed_requests_are_kept_to_the_token_over_every_kind_of_restart(tmp_path: Path) -> None:
    traffic = Traffic()
    write_keys(tmp_path)
    with FakeVllmThread() as upstream:
        with Gateway(tmp_path, upstream.url, WEB_CONCURRENCY=4) as gateway:
            gateway.wait_ready()
            reload_under_load(gateway, traffic)
            traffic.sent += kill_a_worker_with_streams(gateway)
            traffic.run(gateway, REQUESTS // 4)
            expect(settled_usage(gateway, traffic.sent), lines_of(gateway), upstream.fake, traffic)
            lines = end(gateway)
        with Gateway(tmp_path, upstream.url, WEB_CONCURRENCY=4) as gateway:
            gateway.wait_ready()
            traffic.run(gateway, REQUESTS // 4)
            report = settled_usage(gateway, traffic.sent)
            lines += end(gateway)

        expect(report, lines, upstream.fake, traffic)
        command = UsageCommand(USAGE_DATABASE=str(tmp_path / "usage.db"))
        expect(command.report(), lines, upstream.fake, traffic)


def reload_under_load(gateway: Gateway, traffic: Traffic) -> None:
    """SIGHUP in the middle: every worker is replaced, and loses nothing."""
    before = gateway.worker_pids()
    reload = threading.Timer(0.5, gateway.process.send_signal, (signal.SIGHUP,))
    reload.start()
    traffic.run(gateway, REQUESTS // 2)
    reload.join()
    wait_until(lambda: not before & gateway.worker_pids(), 20)


def kill_a_worker_with_streams(gateway: Gateway) -> int:
    """SIGKILL: what it has counted stays; what it was in the middle of is nobody's. The streams of others."""
    clients = open_hanging(gateway, 8)
    victim = busiest(gateway)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(gateway.worker_pids() - {victim}) == 4)
    survivors = sum(is_open(client.sock) for client in clients)
    for client in clients:
        client.sock.close()
    return survivors


def is_open(sock: socket.socket) -> bool:
    """Whether the other side has neither closed nor reset it."""
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False


def busiest(gateway: Gateway) -> int:
    """The worker with the most connections."""
    return max(gateway.worker_pids(), key=lambda pid: len(psutil.Process(pid).net_connections("tcp")))


def test_a_master_that_is_killed_leaves_its_workers_to_write_what_they_have(tmp_path: Path) -> None:
    write_keys(tmp_path)
    traffic = Traffic()
    with FakeVllmThread() as upstream, Gateway(tmp_path, upstream.url, WEB_CONCURRENCY=2) as gateway:
        gateway.wait_ready()
        traffic.run(gateway, 40)
        settled_usage(gateway, traffic.sent)
        lines = lines_of(gateway)
        workers = [psutil.Process(pid) for pid in gateway.worker_pids()]
        gateway.process.kill()
        psutil.wait_procs(workers, 15)

        assert not any(worker.is_running() for worker in workers)
        report = UsageCommand(USAGE_DATABASE=str(tmp_path / "usage.db")).report()
        assert report["totals"]["requests"] == len(lines)
