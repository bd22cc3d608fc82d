"""500 requests to a model server that accepts and never answers: 504 in time, and nothing is left."""

from pathlib import Path
from typing import Any

from tests.measure.crowd import Crowd, Stream
from tests.measure.figures import Row, all_of, at_most
from tests.measure.sockets import tcp_queues
from tests.measure.subjects import descriptors, resident, settle, start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway",)
LIMIT_SECONDS, TOLERANCE = 2, 0.5
PAUSE_SECONDS = 0.005  # between two requests: the limit is measured, not a queue in front of it
BAR_MB, BAR_OPEN = 20, 2


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """Twice, since the first time makes what is kept: only the second may not grow."""
    requests = 50 if small else 500
    limit = {"FIRST_BYTE_TIMEOUT_SECONDS": LIMIT_SECONDS}
    with Upstream(folder) as upstream, start(subject, folder, upstream, **limit) as running:
        ask_all(running.port, requests)
        return measure(running, upstream, requests)


def measure(running: Any, upstream: Upstream, requests: int) -> list[Row]:
    """The answers, and what is left of them."""
    settle(running.family, 0, 6)
    memory, files = resident(running.family()), descriptors(running.family())
    connections = count_connections(running.port, upstream.port)
    streams = ask_all(running.port, requests)
    answered = [stream for stream in streams if stream.data.startswith(b"HTTP/1.1 504 ")]
    seconds = [stream.seconds for stream in answered]
    in_time = sum(abs(each - LIMIT_SECONDS) <= TOLERANCE for each in seconds)
    more_files = settle(running.family, files) - files
    more = count_connections(running.port, upstream.port) - connections
    span = f"{min(seconds):.2f} to {max(seconds):.2f} s" if seconds else "never"
    return [
        all_of("silent model: 504", len(answered), requests),
        Row("silent model: time of the 504", span),
        all_of(f"silent model: at {LIMIT_SECONDS} s +- {TOLERANCE} s", in_time, requests),
        at_most("silent model: growth of resident memory", resident(running.family()) - memory, BAR_MB, "MB"),
        at_most("silent model: more file descriptors", more_files, BAR_OPEN, "files"),
        at_most("silent model: more connections", more, BAR_OPEN, "connections"),
    ]


def count_connections(port: int, upstream_port: int) -> int:
    """The gateway's, on both sides."""
    return tcp_queues(f"sport = :{port} or dport = :{upstream_port}").count


def ask_all(port: int, requests: int) -> list[Stream]:
    """So many requests, read to their ends."""
    with Crowd() as crowd:
        for _ in range(requests):
            crowd.add(Stream(port).ask(fake={"before_head": 600}))
            crowd.read_for(PAUSE_SECONDS)
        crowd.read_to_end(LIMIT_SECONDS + 10)
        return [stream for stream in crowd.streams if stream.ended_at is not None]
