"""kill -9 of one of two workers under 50 streams: the others' streams do not notice."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil

from tests.gateway import wait_until
from tests.measure.crowd import Crowd, Stream
from tests.measure.figures import Row, all_of, at_most, none_of
from tests.measure.subjects import start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway",)
PACED = {"events": 150, "interval": 0.02}
BAR_SECONDS = 1.0


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """The victim is the worker with fewer streams, of those that have some."""
    with Upstream(folder) as upstream, start(subject, folder, upstream, WEB_CONCURRENCY=2) as running:
        return measure(running, 10 if small else 50)


def measure(running: Any, count: int) -> list[Row]:
    """Kill one in the middle of all streams."""
    with Crowd() as crowd:
        for _ in range(count):
            crowd.add(Stream(running.port).ask(measure=PACED))
            crowd.read_for(0.01)  # opened at once, they may all come to one worker
        assert crowd.read_until(lambda: all(len(stream.data) > 1000 for stream in crowd.streams), 10)
        workers = running.worker_pids()
        victim, lost = choose_victim(running, crowd.streams)
        killed_at = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        answered = first_answer(running) - killed_at
        wait_until(lambda: len(running.worker_pids() - {victim}) == len(workers))
        replaced = time.monotonic() - killed_at
        assert crowd.read_to_end(20)
    spared = [stream for stream in crowd.streams if stream not in lost]
    return [
        all_of("killed worker: its streams that show it", count_cut(lost), len(lost)),
        none_of("killed worker: other streams that break", count_cut(spared), len(spared)),
        at_most("killed worker: until a new request works", answered, BAR_SECONDS, "s"),
        at_most("killed worker: until it is replaced", replaced, BAR_SECONDS, "s"),
    ]


def choose_victim(running: Any, streams: list[Stream]) -> tuple[int, list[Stream]]:
    """The worker, and the streams it serves."""
    by_port = {stream.sock.getsockname()[1]: stream for stream in streams}
    served = {}
    for pid in running.worker_pids():
        peers = [c.raddr.port for c in psutil.Process(pid).net_connections("tcp") if c.raddr]
        served[pid] = [by_port[port] for port in peers if port in by_port]
    victim = min((pid for pid in served if served[pid]), key=lambda pid: len(served[pid]))
    return victim, served[victim]


def first_answer(running: Any) -> float:
    """When the first new request was answered."""

    def is_answered() -> bool:
        try:
            return bool(running.chat().status == 200)
        except OSError:
            return False

    wait_until(is_answered)
    return time.monotonic()


def count_cut(streams: list[Stream]) -> int:
    """How many did not come to their end."""
    return sum(not stream.is_finished for stream in streams)
