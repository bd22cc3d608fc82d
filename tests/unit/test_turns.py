"""Many that come at once take turns, in their order."""

from collections import Counter

import gevent
import pytest
from gevent.hub import get_hub

from app.turns import AT_ONCE, Turnstile

MANY = 5 * AT_ONCE + 1


class Visitors:
    """Greenlets that come to one turnstile, and when each of them passed."""

    def __init__(self) -> None:
        self.turnstile = Turnstile()
        self.passed: list[tuple[int, int]] = []  # its number, and the turn of the loop

    def come(self, number: int) -> None:
        self.turnstile.wait()
        self.passed.append((number, get_hub().loop.iteration))

    def come_together(self, count: int) -> list[gevent.Greenlet]:
        """They start in the same turn."""
        return [gevent.spawn(self.come, number) for number in range(count)]


@pytest.fixture
def visitors() -> Visitors:
    return Visitors()


def test_who_comes_alone_passes_at_once(visitors: Visitors) -> None:
    before = get_hub().loop.iteration

    visitors.come(0)

    assert visitors.passed == [(0, before)]


def test_no_more_than_a_few_pass_in_one_turn_and_nobody_is_left(visitors: Visitors) -> None:
    gevent.joinall(visitors.come_together(MANY), timeout=5, raise_error=True)

    turns = Counter(turn for _, turn in visitors.passed)
    assert len(visitors.passed) == MANY
    assert max(turns.values()) == AT_ONCE


def test_the_first_to_come_are_the_first_to_pass(visitors: Visitors) -> None:
    gevent.joinall(visitors.come_together(MANY), timeout=5, raise_error=True)

    assert [number for number, _ in visitors.passed] == list(range(MANY))


def test_who_gives_up_waiting_holds_up_nobody(visitors: Visitors) -> None:
    together = visitors.come_together(MANY)
    gevent.spawn(together[AT_ONCE].kill, block=False)

    gevent.joinall(together, timeout=5)

    assert {number for number, _ in visitors.passed} == set(range(MANY)) - {AT_ONCE}


def test_who_comes_again_and_again_has_no_more_of_a_turn_than_many(visitors: Visitors) -> None:
    def come_often() -> None:
        for number in range(MANY):
            visitors.come(number)

    gevent.spawn(come_often).get(timeout=5)

    assert max(Counter(turn for _, turn in visitors.passed).values()) == AT_ONCE
