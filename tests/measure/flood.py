"""Wrong keys as fast as they are answered: what a client with a key notices of it, the log, the memory."""

import selectors
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from app.request_log import LINES_AT_ONCE
from tests.client import RawClient
from tests.gateway import chat_body
from tests.measure.figures import Row, all_of, at_most, milliseconds, percentile
from tests.measure.subjects import resident, start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway",)
FLOODS = (  # what, connections, whether each request comes from another address, seconds
    ("one address, 64 connections", 64, False, 15),
    ("one address, 600 connections", 600, False, 15),
    ("as many addresses as requests", 64, True, 30),
)
ASK = (
    b"GET /v1/models HTTP/1.1\r\nHost: gateway\r\nX-API-Key: sk-wrong-0123456789abcdef\r\n"
    b"X-Forwarded-For: %d.%d.%d.%d\r\n\r\n"
)
REFUSED, CLOSES = b"HTTP/1.1 401 ", b"\r\nConnection: close\r\n"
PAUSE_SECONDS = 0.05
BAR_P99_MS, BAR_LINES, BAR_MB, BAR_US = 250, 20, 10, 400


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """Each kind of flood against a gateway of one worker."""
    rows = []
    for number, (name, connections, spread, seconds) in enumerate(FLOODS):
        own = folder / str(number)
        own.mkdir()
        settings = {"WEB_CONCURRENCY": 1, "TRUSTED_PROXY_HOPS": 1}
        with Upstream(own) as upstream, start(subject, own, upstream, **settings) as running:
            rows += measure(running, (connections, spread, 5 if small else seconds), f"flood, {name}: ")
    return rows


def measure(running: Any, flooding: tuple[int, bool, int], lead: str) -> list[Row]:
    """The flood in a process of its own, and one client with a key beside it."""
    seconds = flooding[2]
    worker = running.family()[1]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(flood, running.port, *flooding[:2], 1).result()
        before = resident([worker]), sum(worker.cpu_times()[:2]), written(running)
        refused = pool.submit(flood, running.port, *flooding)
        answers = ask(running.port, time.monotonic() + seconds)
        wrong = refused.result()
    spent = sum(worker.cpu_times()[:2]) - before[1]
    cost = 1e6 * spent / wrong
    lines = max(0, written(running) - max(before[2], LINES_AT_ONCE))
    waits = [seconds for _, seconds in answers]
    return [
        Row(f"{lead}401s a second", f"{wrong / seconds:,.0f}"),
        Row(f"{lead}of a processor", f"{100 * spent / seconds:.0f} %"),
        *([at_most(f"{lead}processor time of a 401", cost, BAR_US, "us")] if flooding[1] else []),
        Row(f"{lead}a client with a key waits", milliseconds(waits)),
        at_most(f"{lead}a client with a key waits, p99", 1000 * percentile(waits, 99), BAR_P99_MS, "ms"),
        all_of(f"{lead}served, with a key", [status for status, _ in answers].count(200), len(answers)),
        at_most(f"{lead}lines of log, after {LINES_AT_ONCE}", lines / seconds, BAR_LINES, "a second"),
        at_most(f"{lead}memory", resident([worker]) - before[0], BAR_MB, "MB"),
    ]


def written(running: Any) -> int:
    """How many lines tell of clients without a key."""
    return sum('"gateway.request"' in line and '"tester"' not in line for line in running.written_lines())


def ask(port: int, until: float) -> list[tuple[int, float]]:
    """A client with a key, each time on a new connection: status and seconds of each answer, two at least."""
    answers: list[tuple[int, float]] = []
    while time.monotonic() < until or len(answers) < 2:
        began = time.monotonic()
        with RawClient(port) as client:
            client.send_request("POST", "/v1/chat/completions", chat_body(stream=False))
            status = client.read_head()
            client.read_body()
        answers.append((status, time.monotonic() - began))
        time.sleep(PAUSE_SECONDS)
    return answers


def flood(port: int, connections: int, spread: bool, seconds: int) -> int:
    """Ask again as soon as there is an answer, on every connection; returns how many 401s came."""
    refused, numbers, until = 0, count(), time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:

        def send(client: RawClient) -> None:
            number = next(numbers) if spread else 0
            client.sock.sendall(ASK % (10, number >> 16 & 255, number >> 8 & 255, number & 255))

        def connect() -> None:
            client = RawClient(port)
            selector.register(client.sock, selectors.EVENT_READ, client)
            send(client)

        for _ in range(connections):
            connect()
        while time.monotonic() < until:
            for key, _ in selector.select(0.1):
                data = key.data.sock.recv(65536)
                refused += data.count(REFUSED)
                if data and CLOSES not in data:
                    send(key.data)
                    continue
                selector.unregister(key.data.sock)
                key.data.sock.close()
                connect()
        for key in list(selector.get_map().values()):
            key.data.sock.close()
    return refused
