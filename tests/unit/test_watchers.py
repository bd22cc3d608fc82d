"""Watchers that are made when they are needed."""

import gc
import socket
import time
import weakref
from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event
from gevent.hub import get_hub

from app.watchers import Alarm, IoWatcher

SOON, FAR, PATIENCE = 0.01, 60.0, 5.0


class Bell:
    """What is called."""

    def __init__(self) -> None:
        self.has_rung = Event()

    def ring(self) -> None:
        self.has_rung.set()


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    made = Alarm(get_hub().loop)
    yield made
    made.close()


def test_an_alarm_rings(alarm: Alarm, bell: Bell) -> None:
    alarm.set(time.monotonic() + SOON, bell.ring)

    assert bell.has_rung.wait(PATIENCE)


@pytest.mark.parametrize("order", [(SOON, FAR), (FAR, SOON)])
def test_of_two_times_the_nearer_counts(alarm: Alarm, bell: Bell, order: tuple[float, float]) -> None:
    for seconds in order:
        alarm.set(time.monotonic() + seconds, bell.ring)

    assert bell.has_rung.wait(PATIENCE)


def test_an_alarm_that_has_rung_can_be_set_again(alarm: Alarm, bell: Bell) -> None:
    for _ in range(2):
        alarm.set(time.monotonic() + SOON, bell.ring)
        assert bell.has_rung.wait(PATIENCE)
        bell.has_rung.clear()


def test_an_alarm_that_was_closed_does_not_ring_and_can_be_set_again(alarm: Alarm, bell: Bell) -> None:
    alarm.set(time.monotonic() + SOON, bell.ring)
    alarm.close()
    other = Bell()
    alarm.set(time.monotonic() + 2 * SOON, other.ring)

    assert other.has_rung.wait(PATIENCE)
    assert not bell.has_rung.is_set()


def test_a_closed_alarm_keeps_nobody_alive(alarm: Alarm) -> None:
    bell = Bell()
    alarm.set(time.monotonic() + FAR, bell.ring)
    alarm.close()
    gone = weakref.ref(bell)
    gc.disable()
    try:
        del bell
        assert gone() is None
    finally:
        gc.enable()


def test_a_watcher_that_was_never_started_asks_for_no_descriptor() -> None:
    def fileno() -> int:
        raise AssertionError("there is none")

    watcher = IoWatcher(get_hub().loop, fileno, 1)
    watcher.stop()
    watcher.close()


def test_a_watcher_calls_back_from_start_to_stop_and_again(bell: Bell) -> None:
    ours, theirs = socket.socketpair()
    watcher = IoWatcher(get_hub().loop, ours.fileno, 1)
    with ours, theirs:
        theirs.send(b"x")
        for _ in range(2):
            watcher.start(bell.ring)
            assert bell.has_rung.wait(PATIENCE)
            watcher.stop()
            bell.has_rung.clear()
            gevent.sleep(SOON)  # the loop turns, and what is readable would be told of
            assert not bell.has_rung.is_set()
        watcher.close()
