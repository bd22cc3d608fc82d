"""Clients that come all at once, and clients that leave in the middle of an answer."""

import itertools
import time

from benchmarks.answers import ENDLESS, Wish
from benchmarks.bodies import chat
from benchmarks.client import Connection
from benchmarks.figures import in_milliseconds
from benchmarks.stand import Sample, Stand

TOGETHER, BURSTS = 32, 8
ANSWER = Wish(events=4, interval=0.05)  # it goes on while others wait for their first byte
BURST_SECONDS = 10.0
LEAVERS = 16
LEAVE_AFTER = 4  # events, the first of which comes with the head
MISSED_SECONDS = 3.0  # an abort that the upstream has not seen by then counts as missed
POLL_SECONDS = 0.02
runs = itertools.count()


def arrivals(stand: Stand, *, kept: bool) -> Sample:
    """32 requests at once, eight times: how long each waits for its first byte.

    They come on new connections, or on such as are open and have been used.
    """
    request = stand.fit(chat(ANSWER))
    window = stand.window()
    with stand.crowd() as crowd:

        def burst() -> None:
            connections = list(crowd.open.values()) if kept else []
            for _ in range(TOGETHER):
                crowd.ask(request, connections.pop() if connections else None)
            if not crowd.run(BURST_SECONDS, lambda: crowd.waiting == 0):
                stand.errors["no end"] += crowd.waiting

        if kept:
            burst()
        window.start(crowd)
        for _ in range(BURSTS):
            burst()
        reading = window.stop()
    return {**reading.per_unit(reading.tally.answers), **in_milliseconds("ttft", reading.tally.ttfts)}


class Leavers:
    """Clients that go after a few events; each that went is followed by another."""

    def __init__(self, stand: Stand) -> None:
        self._prefix = f"{stand.name}-{next(runs)}"
        self._tags: dict[int, str] = {}  # by the number of the connection
        self._is_over = False
        self._upstream = stand.upstream
        self.left_at: dict[str, float] = {}
        self.seen_at: dict[str, float] = {}
        self.crowd = stand.crowd()
        self.crowd.on_data = self._look
        self._count = itertools.count()

    def come(self) -> None:
        """One more."""
        tag = f"{self._prefix}-{next(self._count)}"
        connection = self.crowd.ask(chat(Wish(ENDLESS, 0.02, tag=tag)))
        self._tags[connection.number] = tag

    def _look(self, connection: Connection) -> None:
        if connection.answer.events >= LEAVE_AFTER:
            self.left_at[self._tags[connection.number]] = self.crowd.leave(connection)
            if not self._is_over:
                self.come()

    def run(self, seconds: float) -> None:
        """Come and go for so long, then only go; returns when the upstream saw all, or none more."""
        for _ in range(LEAVERS):
            self.come()
        self.crowd.run(seconds)
        self._is_over = True
        self.crowd.run(BURST_SECONDS, lambda: self.crowd.waiting == 0)
        until = time.monotonic() + MISSED_SECONDS
        while len(self.seen_at) < len(self.left_at) and time.monotonic() < until:
            seen = self._upstream.ask("/__seen")["left"]
            self.seen_at |= {tag: at for tag, at in seen.items() if tag in self.left_at}
            time.sleep(POLL_SECONDS)


def aborts(stand: Stand) -> Sample:
    """Streams whose clients leave: how soon the upstream sees it, and what each such request costs."""
    window = stand.window()
    leavers = Leavers(stand)
    with leavers.crowd as crowd:
        window.start(crowd)
        leavers.run(stand.seconds)
        reading = window.stop()
    stand.upstream.ask("/__finish")
    delays = [seen - leavers.left_at[tag] for tag, seen in leavers.seen_at.items()]
    sample = {**reading.per_unit(len(leavers.left_at)), **in_milliseconds("abort", delays)}
    sample["missed"] = len(leavers.left_at) - len(delays)
    return sample | ({"abort_ms_max": 1000 * max(delays)} if delays else {})
