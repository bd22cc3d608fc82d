"""Shared memory: what one process stores, the others see, and only one at a time writes."""

import multiprocessing
import time
from multiprocessing.synchronize import Barrier

from app.instance import Instance

fork = multiprocessing.get_context("fork")


def in_child(work: object, *arguments: object) -> None:
    child = fork.Process(target=work, args=arguments)  # type: ignore[arg-type]
    child.start()
    child.join(10)
    assert child.exitcode == 0


def store(instance: Instance) -> None:
    instance.set("ready_since", 12.5)
    with instance.lock():
        instance.key_set.publish(b"from the child")


def test_a_child_process_changes_what_its_parent_reads() -> None:
    instance = Instance()

    in_child(store, instance)

    assert instance.is_ready
    assert instance.get("ready_since") == 12.5
    assert instance.key_set.read() == (1, b"from the child")


def test_nothing_is_known_at_first() -> None:
    instance = Instance()

    assert not instance.is_ready
    assert not instance.is_draining
    assert instance.key_set.generation == 0
    assert 0 < instance.get("started_at") <= time.monotonic()


def test_each_set_replaces_the_one_before() -> None:
    instance = Instance()

    for turn in range(5):
        with instance.lock():
            instance.key_set.publish(b"x" * (5 - turn))
        assert instance.key_set.read() == (turn + 1, b"x" * (5 - turn))


def add_many(instance: Instance, start: Barrier) -> None:
    start.wait()
    for _ in range(2000):
        with instance.lock():
            _, before = instance.key_set.read()
            instance.key_set.publish(b"%d" % (int(before or b"0") + 1))


def test_the_lock_lets_no_write_get_lost() -> None:
    instance, start = Instance(), fork.Barrier(3)
    children = [fork.Process(target=add_many, args=(instance, start)) for _ in range(3)]

    for child in children:
        child.start()
    for child in children:
        child.join(30)

    assert instance.key_set.read() == (6000, b"6000")


def die_with_the_lock(instance: Instance) -> None:
    context = instance.lock()
    context.__enter__()


def test_a_process_that_dies_with_the_lock_gives_it_back() -> None:
    instance = Instance()
    in_child(die_with_the_lock, instance)

    with instance.lock():
        instance.key_set.publish(b"still possible")


def test_a_duty_is_claimed_once_in_its_time() -> None:
    instance = Instance()

    assert instance.claim("refresh_due", 60)
    assert not instance.claim("refresh_due", 60)
    instance.set("refresh_due", time.monotonic() - 1)
    assert instance.claim("refresh_due", 60)
