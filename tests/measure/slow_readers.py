"""What 500 clients that never read cost the others: memory, health, time, and when they are cut."""

import select
import time
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.client import RawClient
from tests.gateway import wait_until
from tests.measure.crowd import Crowd, Stream
from tests.measure.figures import Row, all_of, at_most, percentile
from tests.measure.sockets import Queues, tcp_queues, unix_queues
from tests.measure.subjects import proportional, start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway", "nginx", "haproxy")
STALL_SECONDS = 10
TOLERANCE = 5.0
FLOOD = {"events": 1_000_000_000, "event_bytes": 16 * 1024}
NORMAL = 20
PACED = {"events": 250, "interval": 0.02}
PROBE_SECONDS, PROBE_INTERVAL = 5.0, 0.02


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """Over TCP, where the kernel's queue is the receiver's, and over a Unix socket."""
    slow = 50 if small else 500
    rows = []
    for unix in (False, True):
        with (
            Upstream(folder, unix=unix) as upstream,
            start(subject, folder, upstream, stall=STALL_SECONDS) as running,
        ):
            way = "Unix socket" if unix else "TCP"
            rows += measure(running, upstream, slow).rows(f"slow readers, {way}: ")
    return rows


class Found:
    """What one upstream's measurement found."""

    def __init__(self) -> None:
        self.calm_seconds = self.seconds = self.grown = 0.0
        self.finished = 0
        self.clients = self.model = Queues(0, 0.0, 0.0)
        self.health: list[float] = []
        self.cut: list[float] = []
        self.slow = self.left_over = self.still_served = 0

    def rows(self, lead: str) -> list[Row]:
        """The figures and their bars."""
        kernel = self.clients.total, self.model.total
        parts = f"growth {self.grown:.1f}, to clients {kernel[0]:.1f}, from model {kernel[1]:.1f} MB"
        in_time = sum(abs(seconds - STALL_SECONDS) <= TOLERANCE for seconds in self.cut)
        span = f"after {min(self.cut):.1f} to {max(self.cut):.1f} s" if self.cut else "never"
        return [
            Row(f"{lead}memory's parts, with {self.slow}", parts),
            at_most(f"{lead}memory in all", self.grown + sum(kernel), 200, "MB"),
            at_most(f"{lead}health, p99", 1000 * percentile(self.health, 99), 50, "ms"),
            all_of(f"{lead}other streams whole", self.finished, NORMAL),
            at_most(f"{lead}other streams' time", self.seconds / self.calm_seconds, 1.2, "x"),
            Row(f"{lead}cut", span),
            all_of(f"{lead}cut at {STALL_SECONDS} s +- {TOLERANCE:.0f} s", in_time, self.slow),
            Row(f"{lead}connections that the kernel holds 2 s later", str(self.left_over)),
            Row(f"{lead}connections at the model server then", str(self.still_served)),
        ]


def measure(running: Any, upstream: Upstream, slow: int) -> Found:
    """A calm run of the normal streams, then one beside the slow readers, then the wait for the cut."""
    found = Found()
    found.slow = slow
    found.calm_seconds, _ = run_normal(running.port)
    before = proportional(running.family())
    context = get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool, Crowd() as readers:
        pool.submit(time.monotonic).result()  # the process is there before it is needed
        for _ in range(slow):
            readers.streams.append(Stream(running.port, receive_buffer=4096).ask(measure=FLOOD))
        wait_until(lambda: upstream.seen()["open"] >= slow, 10)
        probes: Future[list[float]] = pool.submit(probe, running.port)
        found.seconds, found.finished = run_normal(running.port)
        found.grown = proportional(running.family()) - before
        found.clients = tcp_queues(f"sport = :{running.port}")
        found.model = model_queues(upstream)
        found.health = probes.result()
        found.cut = wait_for_cuts(readers.streams)
        time.sleep(2)
        found.left_over = tcp_queues(f"sport = :{running.port}").count
        found.still_served = upstream.seen()["open"]
    return found


def run_normal(port: int) -> tuple[float, int]:
    """How long the slowest normal stream takes, and how many are whole."""
    with Crowd() as crowd:
        for _ in range(NORMAL):
            crowd.add(Stream(port).ask(measure=PACED))
        assert crowd.read_to_end(60)
        return max(stream.seconds for stream in crowd.streams), sum(s.is_finished for s in crowd.streams)


def model_queues(upstream: Upstream) -> Queues:
    """What has come from the upstream and was not read by the proxy."""
    if upstream.socket_path:
        return unix_queues(upstream.socket_path)
    return tcp_queues(f"dport = :{upstream.port}")


def probe(port: int) -> list[float]:
    """How long health requests take, each on a new connection; runs in a process of its own."""
    seconds = []
    until = time.monotonic() + PROBE_SECONDS
    while time.monotonic() < until:
        began = time.monotonic()
        with RawClient(port) as client:
            client.send_request("GET", "/health/live")
            assert client.read_head() == 200
        seconds.append(time.monotonic() - began)
        time.sleep(PROBE_INTERVAL)
    return seconds


def wait_for_cuts(streams: list[Stream]) -> list[float]:
    """How long each stream lived until its connection was reset; without reading a byte of it."""
    poll = select.poll()
    waiting = {stream.sock.fileno(): stream for stream in streams}
    for descriptor in waiting:
        poll.register(descriptor, 0)  # only errors and hang-ups
    lived = []
    until = time.monotonic() + STALL_SECONDS + TOLERANCE
    while waiting and time.monotonic() < until:
        for descriptor, _ in poll.poll(100):
            poll.unregister(descriptor)
            lived.append(time.monotonic() - waiting.pop(descriptor).opened_at)
    return lived
