"""Turns: work that never waits for anything has to let others run now and then."""

import gevent

PAUSE_SECONDS = 0.0005


def give_turn() -> None:
    """Let others run, also those that wait for a socket: `sleep(0)` polls sockets only after fifty turns."""
    gevent.sleep(PAUSE_SECONDS)
