"""kill -9 of the model server under 20 streams: each is told, and new requests hear it at once."""

import time
from pathlib import Path
from typing import Any

from tests.measure.crowd import Crowd, Stream
from tests.measure.figures import Row, all_of, at_most, percentile
from tests.measure.subjects import start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway",)
STREAMS = 20
PACED = {"events": 100_000, "interval": 0.02}


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """Over TCP and over a Unix socket."""
    rows = []
    for unix in (False, True):
        with Upstream(folder, unix=unix) as upstream, start(subject, folder, upstream) as running:
            lead = f"killed model, {'Unix socket' if unix else 'TCP'}: "
            rows += measure(running, upstream, lead, 10 if small else 50)
    return rows


def measure(running: Any, upstream: Upstream, lead: str, requests: int) -> list[Row]:
    """What the streams hear, and what who comes afterwards hears."""
    with Crowd() as crowd:
        for _ in range(STREAMS):
            crowd.add(Stream(running.port).ask(measure=PACED))
        assert crowd.read_until(lambda: all(len(stream.data) > 1000 for stream in crowd.streams), 10)
        killed_at = time.monotonic()
        upstream.kill()
        crowd.read_to_end(10)
        told = [s for s in crowd.streams if b"upstream_lost" in s.data and not s.ended_with_last_chunk]
    last = max((stream.ended_at or killed_at + 10) - killed_at for stream in crowd.streams)
    statuses, seconds = [], []
    for _ in range(requests):
        began = time.monotonic()
        statuses.append(running.chat().status)
        seconds.append(time.monotonic() - began)
    return [
        all_of(f"{lead}streams with an error event and no last chunk", len(told), STREAMS),
        at_most(f"{lead}until the last stream has ended", last, 1, "s"),
        all_of(f"{lead}new requests that get 503", statuses.count(503), requests),
        at_most(f"{lead}time of such a 503, p99", 1000 * percentile(seconds, 99), 50, "ms"),
    ]
