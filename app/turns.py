"""Turns: work that never waits for anything has to let others run now and then."""

from collections import deque
from typing import Any

import gevent
from gevent.hub import Waiter, get_hub

PAUSE_SECONDS = 0.0005
AT_ONCE = 4  # one by one, a turn for each would cost 3 % of what a request does


def give_turn() -> None:
    """Let others run, also those that wait for a socket: `sleep(0)` polls sockets only after fifty turns."""
    gevent.sleep(PAUSE_SECONDS)


class Turnstile:
    """Lets a few greenlets pass in each turn of the event loop, in the order in which they come.

    Between two turns the loop looks at every socket. So of many requests that come at once, the first have
    their answers on the way before the last is looked at, and streams that run wait for a few, not for all.
    """

    def __init__(self) -> None:
        self._loop: Any = get_hub().loop
        self._waiting: deque[Any] = deque()
        self._timer = self._loop.timer(0)
        self._turn = -1  # its number, as the loop counts
        self._passed = 0  # in this turn

    def wait(self) -> None:
        """Return when it is this greenlet's turn: mostly at once."""
        if self._loop.iteration != self._turn:
            self._turn, self._passed = self._loop.iteration, 0
        if not self._waiting and self._passed < AT_ONCE:
            self._passed += 1
            return
        waiter: Any = Waiter()
        self._waiting.append(waiter)
        if len(self._waiting) == 1:
            self._timer.start(self._open)
        waiter.get()

    def _open(self) -> None:
        self._turn, self._passed = self._loop.iteration, 0
        while self._waiting and self._passed < AT_ONCE:
            self._passed += 1
            self._waiting.popleft().switch(None)
        if self._waiting:
            self._timer.start(self._open)
