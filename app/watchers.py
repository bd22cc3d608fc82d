"""Watchers of the event loop that are made when they are first needed: many an answer needs none."""

import math
import time
from collections.abc import Callable
from typing import Any


class IoWatcher:
    """Calls back whenever a descriptor is ready, from `start` to `stop`; `close` frees it."""

    __slots__ = ("_events", "_fileno", "_loop", "_watcher")

    def __init__(self, loop: Any, fileno: Callable[[], int], events: int) -> None:
        self._loop = loop
        self._fileno = fileno
        self._events = events
        self._watcher: Any = None

    def start(self, callback: Callable[..., None], *args: Any) -> None:
        """Call back with these arguments from now on."""
        if self._watcher is None:
            self._watcher = self._loop.io(self._fileno(), self._events)
        self._watcher.start(callback, *args)

    def stop(self) -> None:
        """Call back no more; it may be started again."""
        if self._watcher is not None:
            self._watcher.stop()

    def close(self) -> None:
        """Free it."""
        if self._watcher is not None:
            self._watcher.close()


class Alarm:
    """Calls back once at a time that may be set again and again. Times are CLOCK_MONOTONIC seconds.

    It may ring too early, never too late: a time that is later than the one that is set already sets no
    other timer, so whoever is called looks whether it is time, and sets it again.
    """

    __slots__ = ("_due", "_loop", "_timer")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._timer: Any = None
        self._due = math.inf

    def set(self, due: float, callback: Callable[..., None], *args: Any) -> None:
        """Ring at this time at the latest: call back with these arguments."""
        if due < self._due:
            self.stop()
            self._due = due
            self._timer = self._loop.timer(max(0.001, due - time.monotonic()))
            self._timer.start(self._ring, callback, args)

    def stop(self) -> None:
        """Ring no more, unless it is set again; whoever would have been called is forgotten."""
        self._due = math.inf
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    close = stop

    def _ring(self, callback: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._due = math.inf
        callback(*args)
