"""Clients that send a head or a body byte by byte: when they are cut, and what the others notice."""

import selectors
import time
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from app.body import GRACE_SECONDS, SLOWEST_BYTES_PER_SECOND
from app.worker import HEAD_SECONDS
from tests.client import KEY, RawClient
from tests.measure.figures import Row, all_of, at_most, milliseconds, percentile
from tests.measure.flood import ask
from tests.measure.slow_readers import NORMAL, probe, run_normal
from tests.measure.subjects import start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway", "nginx", "haproxy")
BODY_BYTES = SLOWEST_BYTES_PER_SECOND
BODY_SECONDS = GRACE_SECONDS + BODY_BYTES / SLOWEST_BYTES_PER_SECOND
TOLERANCE = 2.0
STEP_SECONDS = 1.0  # between two bytes
WORKER_CONNECTIONS = 2000
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\n"
BODY = HEAD + (
    b"X-API-Key: %%b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{" % BODY_BYTES
)
KINDS = {
    "half a head": (HEAD + b"X-", HEAD_SECONDS, b"408"),
    "slow body": (BODY % KEY.encode(), BODY_SECONDS, b"408"),
    "slow body, wrong key": (BODY % b"sk-wrong-0123456789abcdef", 0.0, b"401"),
}


class Sender:
    """One slow client, and when it heard something back."""

    def __init__(self, port: int, kind: str) -> None:
        self.kind = kind
        self.client = RawClient(port)
        self.client.sock.sendall(KINDS[kind][0])
        self.client.sock.setblocking(False)
        self.began = time.monotonic()
        self.status = b""
        self.seconds = 0.0

    def hear(self) -> None:
        """Something came, or the end."""
        self.seconds = time.monotonic() - self.began
        try:
            self.status = self.client.sock.recv(4096)[9:12]
        except OSError:
            self.status = b"cut"
        self.client.sock.close()

    @property
    def is_in_time(self) -> bool:
        """Whether it was told what it should be told, and when."""
        _, limit, status = KINDS[self.kind]
        return self.status == status and limit - 0.1 <= self.seconds <= limit + TOLERANCE


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """A thousand beside 20 normal streams; and for the gateway more than a worker has places."""
    some = 50 if small else 500
    counts = {"half a head": some, "slow body": some // 2, "slow body, wrong key": some - some // 2}
    with Upstream(folder) as upstream, start(subject, folder, upstream) as running:
        rows = measure(running, counts)
    if subject != "gateway" or small:
        return rows
    with Upstream(folder) as upstream, start(subject, folder, upstream, WEB_CONCURRENCY=1) as running:
        return rows + crowd(running)


def measure(running: Any, counts: dict[str, int]) -> list[Row]:
    """A calm run of the normal streams, then one beside the slow senders."""
    lead = "slow senders: "
    calm, _ = run_normal(running.port)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        pool.submit(time.monotonic).result()
        slow: Future[list[Sender]] = pool.submit(told, running.port, counts)
        time.sleep(1)
        probes: Future[list[float]] = pool.submit(probe, running.port)
        seconds, finished = run_normal(running.port)
        health, outcomes = probes.result(), slow.result()
    rows = []
    for kind, count in counts.items():
        these = [outcome for outcome in outcomes if outcome[0] == kind]
        span = [seconds for _, _, seconds, _ in these]
        heard = ", ".join(sorted({status or "nothing" for _, status, _, _ in these}))
        words = f"{heard} after {min(span):.1f} to {max(span):.1f} s"
        rows.append(Row(f"{lead}{kind}", words))
        rows.append(all_of(f"{lead}{kind}, told in time", sum(good for *_, good in these), count))
    return [
        *rows,
        at_most(f"{lead}health, p99", 1000 * percentile(health, 99), 50, "ms"),
        all_of(f"{lead}other streams whole", finished, NORMAL),
        at_most(f"{lead}other streams' time", seconds / calm, 1.2, "x"),
    ]


def told(port: int, counts: dict[str, int]) -> list[Any]:
    """Send byte by byte on each connection until it is told something: kind, status, seconds, in time."""
    senders = []
    with selectors.DefaultSelector() as selector:
        for kind, count in counts.items():
            for _ in range(count):
                sender = Sender(port, kind)
                senders.append(sender)
                selector.register(sender.client.sock, selectors.EVENT_READ, sender)
        until = time.monotonic() + BODY_SECONDS + 2 * TOLERANCE
        next_step = time.monotonic()
        while selector.get_map() and time.monotonic() < until:
            for key, _ in selector.select(0.1):
                selector.unregister(key.fileobj)
                key.data.hear()
            if time.monotonic() >= next_step:
                next_step += STEP_SECONDS
                step(selector)
        for key in list(selector.get_map().values()):
            key.data.client.sock.close()
    return [(sender.kind, sender.status.decode(), sender.seconds, sender.is_in_time) for sender in senders]


def step(selector: selectors.BaseSelector) -> None:
    """One more byte from everyone who was told nothing yet."""
    for key in selector.get_map().values():
        try:
            key.data.client.sock.send(b"x")
        except OSError:
            continue  # the selector tells what has become of it


def crowd(running: Any) -> list[Row]:
    """More silent clients than one worker has places, and one with a key."""
    silent = [RawClient(running.port) for _ in range(WORKER_CONNECTIONS + 300)]
    for client in silent:
        client.sock.sendall(HEAD)
    time.sleep(1.5)  # then they are known as slow
    answers = ask(running.port, time.monotonic() + 5)
    for client in silent:
        client.sock.close()
    waits = [seconds for _, seconds in answers]
    lead = f"{len(silent)} half heads in one worker: "
    return [
        all_of(f"{lead}served, with a key", [status for status, _ in answers].count(200), len(answers)),
        Row(f"{lead}a client with a key waits", milliseconds(waits)),
        at_most(f"{lead}a client with a key waits, p99", 1000 * percentile(waits, 99), 250, "ms"),
    ]
