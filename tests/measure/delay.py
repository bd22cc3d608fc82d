"""How much later an event arrives because of what stands between: 20 streams, 50 events a second each."""

import re
import time
from pathlib import Path

from tests.measure.crowd import Crowd, Stream
from tests.measure.figures import Row, at_most, milliseconds, percentile
from tests.measure.subjects import start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway", "nginx", "haproxy", "direct")
STREAMS, INTERVAL, EVENT_BYTES = 20, 0.02, 230
TURNS = 4  # of each, one after the other: the machine's other load meets both
SENT = re.compile(rb'"sent":"([0-9.]{17})","choices":\[\{"index":0,"delta":\{"content":"x')


class TimedStream(Stream):
    """Notes how old each event was when it came."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.ages: list[float] = []

    def take(self, data: bytes, now: float) -> None:
        """Only the times are kept; an event that came in two pieces counts when its time has come."""
        self.data += data
        last = 0
        for match in SENT.finditer(self.data):
            self.ages.append(now - float(match[1]))
            last = match.end()
        del self.data[: max(last, len(self.data) - 512)]


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """The delay with and without the subject."""
    seconds = 1.0 if small else 10.0
    direct: list[float] = []
    through: list[float] = []
    with Upstream(folder) as upstream, start(subject, folder, upstream) as running:
        for _ in range(TURNS):
            direct += ages(upstream.port, seconds / TURNS)
            through += ages(running.port, seconds / TURNS)
    added = [1000 * (percentile(through, percent) - percentile(direct, percent)) for percent in (50, 99)]
    return [
        Row("delay of an event, without a proxy", milliseconds(direct)),
        Row("delay of an event, through it", milliseconds(through)),
        Row("added delay of an event, p50", f"{added[0]:.2f} ms"),
        at_most("added delay of an event, p99", added[1], 5, "ms"),
    ]


def ages(port: int, seconds: float) -> list[float]:
    """How old the events of one turn were when they came."""
    events = round(seconds / INTERVAL)
    measure = {"events": events, "interval": INTERVAL, "event_bytes": EVENT_BYTES}
    with Crowd() as crowd:
        streams = []
        for _ in range(STREAMS):
            stream = TimedStream(port)
            stream.ask(measure=measure)
            streams.append(stream)
            crowd.add(stream)
            crowd.read_for(INTERVAL / STREAMS)  # else all events come at once
        crowd.read_to_end(seconds + 10)
    found = [age for stream in streams for age in stream.ages]
    assert len(found) == STREAMS * events, f"{len(found)} events came, at {time.monotonic()}"
    return found
