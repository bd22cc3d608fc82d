"""Counting in shared memory: rows are found again by every process, and sums never go back."""

import multiprocessing
import os
import struct
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from app.shared_table import OTHER, Rows, SharedTable

fork = multiprocessing.get_context("fork")


def table(*, rows: int = 8, text_bytes: int = 4096) -> SharedTable:
    return SharedTable("test", rows=rows, columns=2, width=2, text_bytes=text_bytes)


def add(counted: SharedTable, slot: int, labels: tuple[str, str], value: float = 1.0) -> None:
    rows = counted.slot(slot)
    rows.cells[rows.start(labels) + 1] += value


def test_slots_are_summed_by_their_labels() -> None:
    counted = table()
    add(counted, 0, ("a", "m"), 2)
    add(counted, 0, ("b", "m"), 5)
    add(counted, 2, ("b", "m"), 7)
    add(counted, 3, ("b", "m"), 100)

    assert counted.sums(3) == {("a", "m"): [0, 2], ("b", "m"): [0, 12]}


def test_a_row_of_another_process_is_seen() -> None:
    counted = table()
    assert counted.sums(2) == {}

    child = fork.Process(target=add, args=(counted, 1, ("of the child", "m"), 3.0))
    child.start()
    child.join(10)

    assert counted.sums(2) == {("of the child", "m"): [0, 3]}


def count_twice(counted: SharedTable) -> None:
    add(counted, 0, ("a", "m"))
    add(counted, 0, ("b", "m"))


def test_the_next_worker_of_a_slot_goes_on_with_its_rows() -> None:
    counted = table()
    for _ in range(3):
        worker = fork.Process(target=count_twice, args=(counted,))
        worker.start()
        worker.join(10)

    assert counted.sums(1) == {("a", "m"): [0, 3], ("b", "m"): [0, 3]}


def test_what_has_no_row_left_is_counted_as_other() -> None:
    counted = table(rows=3)
    for name in "abcde":
        add(counted, 0, (name, "m"))
    add(counted, 0, ("a", "m"))

    assert counted.sums(1) == {("a", "m"): [0, 2], ("b", "m"): [0, 1], (OTHER, OTHER): [0, 3]}


NAMES = st.tuples(st.text(max_size=30), st.text(max_size=30))


@given(st.lists(NAMES, max_size=40), st.integers(2, 12), st.integers(64, 600))
def test_no_count_is_lost_whatever_the_labels_are(names: list[tuple[str, str]], rows: int, room: int) -> None:
    counted = table(rows=rows, text_bytes=room)

    for labels in names:
        add(counted, 0, labels)

    sums = counted.sums(1)
    assert sum(values[1] for values in sums.values()) == len(names)
    assert len(sums) <= rows
    wanted = Counter(names)
    exact = {labels: values[1] for labels, values in sums.items() if labels != (OTHER, OTHER)}
    assert all(wanted[labels] == value for labels, value in exact.items())


def test_a_name_that_a_killed_worker_had_half_written_misleads_nobody() -> None:
    counted = table()
    add(counted, 0, ("a", "m"))
    before = counted.slot(0)
    # What it had written when it was killed: a text, and no row yet.
    struct.pack_into("H", before._texts, before._read_bytes, 14)
    before._texts[before._read_bytes + 2 : before._read_bytes + 16] = b'["wrong","no"]'

    after = Rows(counted._memory[: counted._slot_bytes], *counted._shape)
    after.cells[after.start(("b", "m")) + 1] += 2

    assert counted.sums(1) == {("a", "m"): [0, 1], ("b", "m"): [0, 2]}


def test_a_table_keeps_one_descriptor_however_many_slots_are_looked_at() -> None:
    table().sums(1)  # what gevent opens, it opens once
    before = len(os.listdir("/proc/self/fd"))
    counted = table()
    counted.sums(512)

    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_slots_that_nobody_writes_take_no_memory() -> None:
    before = shared_kib()
    counted = table(rows=8192, text_bytes=1024 * 1024)
    add(counted, 1000, ("a", "m"))

    assert shared_kib() - before < 2048
    assert counted.sums(1001) == {("a", "m"): [0, 1]}


def shared_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssShmem:")[1].split()[0])
