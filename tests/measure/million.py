"""A million events, through one stream and through a thousand: nothing grows, nothing stays open."""

from pathlib import Path
from typing import Any

from tests.measure.crowd import Crowd, Stream
from tests.measure.figures import Row, all_of, at_most
from tests.measure.sockets import tcp_queues
from tests.measure.subjects import descriptors, resident, settle, start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway",)
BAR_MB, BAR_OPEN = 20, 2
TOGETHER = 50
MARK = b'"finish_reason":null'  # once in each event but the last two


class CountingStream(Stream):
    """Counts events, and keeps only the end."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.events = 0

    def take(self, data: bytes, now: float) -> None:
        """A mark that came in two pieces is counted with the second."""
        tail = bytes(self.data[-len(MARK) + 1 :])
        self.events += (tail + data).count(MARK)
        self.data = bytearray((tail + data)[-256:])


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """One after the other, with the same gateway."""
    streams, events = (50, 1000) if small else (1000, 1000)
    rows = []
    with Upstream(folder) as upstream, start(subject, folder, upstream) as running:
        relay(running.port, TOGETHER, events, TOGETHER)  # warm
        shapes = {"one stream": (1, streams * events, 1), f"{streams} streams": (streams, events, TOGETHER)}
        for name, (count, each, together) in shapes.items():
            rows += measure(running, f"{streams * events:,} events, {name}: ", count, each, together)
    return rows


def measure(running: Any, lead: str, streams: int, events: int, together: int) -> list[Row]:
    """Memory, file descriptors and connections before and after."""
    settle(running.family, 0, 6)  # until pooled connections have been idle for too long
    memory, files = resident(running.family()), descriptors(running.family())
    connections = tcp_queues(f"sport = :{running.port}").count
    finished, seconds = relay(running.port, streams, events, together)
    grown = resident(running.family()) - memory
    more_files = settle(running.family, files) - files
    more = tcp_queues(f"sport = :{running.port}").count - connections
    return [
        all_of(f"{lead}whole", finished, streams),
        Row(f"{lead}speed", f"{streams * events / seconds:,.0f} events/s"),
        at_most(f"{lead}growth of resident memory", grown, BAR_MB, "MB"),
        at_most(f"{lead}more file descriptors", more_files, BAR_OPEN, "files"),
        at_most(f"{lead}more connections", more, BAR_OPEN, "connections"),
    ]


def relay(port: int, streams: int, events: int, together: int) -> tuple[int, float]:
    """Read so many streams, so many at a time; how many were whole to the event, and the seconds."""
    finished, seconds = 0, 0.0
    for _ in range(streams // together):
        with Crowd() as crowd:
            opened = [CountingStream(port) for _ in range(together)]
            for stream in opened:
                stream.ask(measure={"events": events})
                crowd.add(stream)
            assert crowd.read_to_end(120)
        finished += sum(stream.is_finished and stream.events == events for stream in opened)
        seconds += max(stream.seconds for stream in opened)
    return finished, seconds
