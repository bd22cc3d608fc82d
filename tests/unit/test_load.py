"""The load of an instance: summed over its workers, bounded, and gone with whoever carried it."""

import pytest

from app.instance import Instance
from app.load import Load
from app.unavailable import Overloaded


def workers(instance: Instance, count: int, *, requests: int = 9, size: int = 100) -> list[Load]:
    loads = [Load(instance, requests, size) for _ in range(count)]
    for load in loads:
        load.slot = instance.take_slot()
    return loads


def test_requests_of_all_workers_count_together() -> None:
    one, two = workers(Instance(), 2, requests=3)
    shares = [one.enter(), two.enter(), two.enter()]
    with pytest.raises(Overloaded):
        one.enter()

    shares[1].close()

    one.enter()


def test_bytes_of_all_workers_count_together() -> None:
    one, two = workers(Instance(), 2, size=100)
    first, second = one.enter(), two.enter()
    first.reserve(60)
    with pytest.raises(Overloaded):
        second.reserve(41)

    first.drop_body()

    second.reserve(100)


def test_a_share_ends_once() -> None:
    (load,) = workers(Instance(), 1, requests=2)
    share, other = load.enter(), load.enter()
    share.reserve(50)

    share.close()
    share.close()

    assert load.enter() is not other
    with pytest.raises(Overloaded):
        load.enter()


def test_what_was_refused_is_not_counted() -> None:
    (load,) = workers(Instance(), 1, size=100)
    share = load.enter()
    with pytest.raises(Overloaded):
        share.reserve(101)

    share.reserve(100)


def test_the_load_of_a_worker_that_died_is_dropped_and_its_slot_used_again() -> None:
    instance = Instance()
    died, _ = workers(instance, 2, requests=1)
    died.enter()

    instance.free_slot(died.slot)

    (heir,) = workers(instance, 1, requests=1)
    assert heir.slot == died.slot
    heir.enter()
