"""The connections of one worker, and who has to go when there are too many."""

import heapq
import time
from collections.abc import Iterator

from app.connection import ClientConnection

CROWDED = 0.9  # of the connections that a worker is meant to carry
EXTRA = (
    100  # beyond them, for one request each: probes and valid keys are served, strangers told to come back
)
MAX_CLOSING = 100  # that are read on until the client has seen its answer
SHARE_TO_GO = 0.01
PATIENCE_SECONDS = 1.0  # a request that takes longer to come is a slow one


class Crowd:
    """Counts connections, and closes those that hold a place without a valid key, or without a request."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._members: set[ClientConnection] = set()
        self._closing: dict[ClientConnection, None] = {}  # in the order in which they began to

    def __iter__(self) -> Iterator[ClientConnection]:
        """Those that are open on both sides."""
        return iter(self._members)

    @property
    def places(self) -> int:
        """How many may be there at the same moment, however they are counted."""
        return self._most + EXTRA + MAX_CLOSING

    @property
    def is_crowded(self) -> bool:
        """Whether places are about to run out."""
        return len(self._members) > CROWDED * self._most

    def enter(self, connection: ClientConnection) -> None:
        """One more has come."""
        self._members.add(connection)
        if self.is_crowded:
            self._make_room()
        connection.is_extra = len(self._members) > self._most

    def close(self, connection: ClientConnection) -> None:
        """This one is over; returns when the client has closed its side, or has had its time for that."""
        self._members.discard(connection)
        self._closing[connection] = None
        if len(self._closing) > MAX_CLOSING:
            first = min(self._closing, key=lambda c: c.has_key)  # of those alike, the oldest
            del self._closing[first]
            first.shut_reading()
        try:
            connection.close()
        finally:
            self._closing.pop(connection, None)

    def _make_room(self) -> None:
        """Close some that only wait: those without a key first, and those that wait for longest."""
        before = time.monotonic() - PATIENCE_SECONDS
        may_go = [c for c in self._members if _may_go(c, before)]
        staying = sum(not connection.is_last for connection in self._members)
        some = max(1, int(SHARE_TO_GO * self._most), staying - int(CROWDED * self._most))
        for connection in heapq.nsmallest(some, may_go, key=lambda c: (c.has_key, c.idle_since)):
            connection.evict()


def _may_go(connection: ClientConnection, before: float) -> bool:
    """Idle between two requests, or with one that has no key and is slow or kept back."""
    if connection.is_last or (connection.is_busy and connection.has_key):
        return False
    is_idle = connection.has_served and not connection.is_busy
    return is_idle or connection.is_stoppable or connection.idle_since < before
