"""The rig measures what it says: the kernel's CPU time, real streams, and a small run from end to end."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.__main__ import main
from benchmarks.accounting import CpuMeter, ProcessLost, cpu_ns
from benchmarks.answers import ENDLESS, Wish
from benchmarks.bodies import Request, chat, opencode
from benchmarks.client import Crowd
from benchmarks.measured import load
from benchmarks.rig import Upstream
from tests.gateway import wait_until

BUSY = """
import sys, threading, time
def work():
    while time.thread_time() < 0.2: pass
thread = threading.Thread(target=work)
thread.start()
thread.join()
sys.stdout.write("done\\n"); sys.stdout.flush()
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def crowd(upstream: Upstream) -> Iterator[Crowd]:
    with Crowd(upstream.port) as clients:
        yield clients


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[str]]:
    """A process in which a thread has used 200 ms and ended."""
    command = [sys.executable, "-c", BUSY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def free_to_move() -> Iterator[None]:
    """The tests after this one get all cores again."""
    cores = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cores)


def test_a_busy_thread_is_counted_after_its_end(busy: subprocess.Popen[str]) -> None:
    times = psutil.Process(busy.pid).cpu_times()

    assert cpu_ns(busy.pid) / 1e9 >= 0.2
    assert cpu_ns(busy.pid) / 1e9 == pytest.approx(times.user + times.system, abs=0.03)  # its ticks are 10 ms


def test_a_process_that_is_born_in_between_is_counted_wholly(busy: subprocess.Popen[str]) -> None:
    family: list[psutil.Process] = []
    meter = CpuMeter(lambda: family)
    meter.prepare()
    meter.start()
    family.append(psutil.Process(busy.pid))

    assert meter.stop() >= 0.2e9


def test_a_process_that_is_gone_has_no_time(busy: subprocess.Popen[str]) -> None:
    meter = CpuMeter(lambda: [psutil.Process(busy.pid)])
    meter.prepare()
    meter.start()
    busy.kill()
    busy.wait()

    with pytest.raises(ProcessLost):
        meter.stop()


@pytest.mark.parametrize(
    "request_of",
    [
        lambda: chat(Wish()),
        lambda: chat(Wish(events=1)),
        lambda: chat(Wish(events=20_000)),
        lambda: chat(Wish(events=5000, writes=1)),
        lambda: chat(Wish(events=10, interval=0.001)),
        lambda: chat(Wish(status=401), status=401),
        lambda: opencode(Wish(events=8)),
    ],
)
def test_an_answer_is_what_was_wished_for(crowd: Crowd, request_of: Callable[[], Request]) -> None:
    for _ in range(4):
        crowd.ask(request_of())

    assert crowd.run(20, lambda: crowd.waiting == 0)
    assert not crowd.errors
    assert crowd.tally.answers == 4


def test_a_connection_is_used_again(crowd: Crowd) -> None:
    connection = crowd.ask(chat(Wish(events=1)))
    crowd.run(10, lambda: crowd.waiting == 0)
    crowd.ask(chat(Wish()), connection)

    assert crowd.run(10, lambda: crowd.tally.answers == 2)
    assert len(crowd.open) == 1


def test_paced_events_come_at_their_pace_with_their_age(crowd: Crowd, upstream: Upstream) -> None:
    began = time.monotonic()
    crowd.ask(chat(Wish(events=10, interval=0.02)))
    crowd.run(10, lambda: crowd.waiting == 0)

    assert time.monotonic() - began >= 9 * 0.02
    assert len(crowd.tally.ages) == 10
    assert all(0 < age < 5 for age in crowd.tally.ages)


def test_streams_without_an_end_end_when_they_are_told_to(crowd: Crowd, upstream: Upstream) -> None:
    for _ in range(8):
        crowd.ask(chat(Wish(ENDLESS, 0.01)))
    crowd.run(10, lambda: len(crowd.tally.ages) > 100)
    upstream.ask("/__finish")

    assert crowd.run(10, lambda: crowd.waiting == 0)
    assert not crowd.errors


def test_the_upstream_tells_when_a_client_left(crowd: Crowd, upstream: Upstream) -> None:
    connection = crowd.ask(chat(Wish(ENDLESS, 0.01, tag="leaver")))
    crowd.run(10, lambda: connection.answer.events > 3)
    left_at = crowd.leave(connection)

    seen = wait_until(lambda: upstream.ask("/__seen")["left"])
    assert left_at <= seen["leaver"] <= time.monotonic()


def test_a_cut_answer_is_an_error(crowd: Crowd, upstream: Upstream) -> None:
    with Upstream() as dying, Crowd(dying.port) as clients:
        clients.ask(chat(Wish(ENDLESS, 0.01)))
        clients.run(10, lambda: clients.tally.events > 3)
        dying.process.kill()

        assert clients.run(10, lambda: clients.waiting == 0)
        assert clients.errors.total() == 1


@pytest.mark.usefixtures("free_to_move")
def test_a_small_run_writes_well_formed_files(tmp_path: Path) -> None:
    small = ["--subjects", "direct", "ours", "--only", "chat", "paced-32"]
    more = ["--rounds", "2", "--seconds", "0.2", "--results", str(tmp_path)]

    assert main([*small, *more]) == 0

    results = load(tmp_path)
    assert set(results.by_workload) == {"chat", "paced-32", "growth-32", "boot", "memory"}
    for name, samples in (("chat", 2), ("paced-32", 6)):  # what mostly waits is measured more often
        assert min(results.values(name, "ours", "cpu_us")) > 0
        assert results.values(name, "ours", "errors") == [0] * samples
        assert results.values(name, "direct", "cpu_us") == [None] * samples
        assert min(results.values(name, "direct", "client_cpu_us")) > 0
    assert set(results.by_workload["boot"].subjects) == {"ours"}
    assert min(results.values("boot", "ours", "boot_s")) > 0
    assert min(results.values("memory", "ours", "pss_worker_mb")) > 10
