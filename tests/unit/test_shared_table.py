"""Rows in shared memory: named once, counted by one, summed by all, whoever is killed in between."""

import multiprocessing
import os
import struct
from pathlib import Path

import pytest

from app.shared_table import OTHER, Rows, SharedTable

fork = multiprocessing.get_context("fork")


def small(**shape: int) -> SharedTable:
    return SharedTable(
        "test", **{"slots": 4, "rows": 4, "columns": 2, "width": 1, "text_bytes": 256, **shape}
    )


def count(rows: Rows, name: str, value: float) -> None:
    rows.cells[rows.start((name,)) + 1] += value


def test_a_row_is_the_sum_over_all_slots() -> None:
    table = small()
    count(table.slot(0), "a", 1)
    count(table.slot(2), "a", 2)
    count(table.slot(2), "b", 4)

    assert table.sums(3) == {("a",): [0.0, 3.0], ("b",): [0.0, 4.0]}
    assert table.sums(2) == {("a",): [0.0, 1.0]}


def test_what_another_process_counts_is_seen() -> None:
    table = small()
    table.slot(1)
    child = fork.Process(target=lambda: count(table.slot(1), "a", 5))
    child.start()
    child.join(10)

    assert table.sums(2) == {("a",): [0.0, 5.0]}


def test_who_takes_the_slot_next_goes_on_with_its_rows() -> None:
    table = small()
    for _ in range(3):
        child = fork.Process(target=lambda: count(table.slot(0), "a", 1))
        child.start()
        child.join(10)

    assert table.sums(1) == {("a",): [0.0, 3.0]}


def test_what_has_no_room_is_counted_in_one_row() -> None:
    rows = small().slot(0)
    for number in range(100):
        count(rows, str(number), 1)

    assert rows.refresh() == [("0",), ("1",), ("2",), (OTHER,)]
    assert rows.cells[rows.start((OTHER,)) + 1] == 97


@pytest.mark.parametrize("size", [70, 200, 1000])
def test_names_without_room_are_counted_in_one_row_too(size: int) -> None:
    table = small(rows=64, text_bytes=128)
    for number in range(50):
        count(table.slot(0), f"{number:0{size}}", 1)

    assert sum(row[1] for row in table.sums(1).values()) == 50
    assert (OTHER,) in table.sums(1)


def test_a_name_that_a_killed_worker_had_half_written_misleads_nobody() -> None:
    table = small()
    before = table.slot(0)
    count(before, "a", 1)
    # What it had written when it was killed: a text, and no row yet.
    struct.pack_into("H", before._texts, before._read_bytes, 9)
    before._texts[before._read_bytes + 2 : before._read_bytes + 11] = b'["wrong"]'

    after = Rows(table._memory[: table._slot_bytes], *table._shape)
    count(after, "b", 2)

    assert table.sums(1) == {("a",): [0.0, 1.0], ("b",): [0.0, 2.0]}


def test_a_table_keeps_one_descriptor_however_many_slots_are_looked_at() -> None:
    before = len(os.listdir("/proc/self/fd"))
    table = small(slots=512)
    table.sums(512)

    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_slots_that_nobody_writes_take_no_memory() -> None:
    before = resident_kib()
    table = small(slots=1024, rows=8192, text_bytes=1024 * 1024)
    count(table.slot(1000), "a", 1)

    assert resident_kib() - before < 2048
    assert table.sums(1001) == {("a",): [0.0, 1.0]}


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssShmem:")[1].split()[0])
