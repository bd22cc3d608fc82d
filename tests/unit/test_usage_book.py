"""Whatever becomes of its writers, an instance's counts are in the database once."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.accounts.book import DAY, FORGET_SECONDS, HOUR, InstanceTime, Span, Totals, forget_old, read_span
from app.accounts.book import write_totals as write_into
from app.accounts.database import Session
from app.accounts.errors import AccountsUnavailable
from app.accounts.place import FilePlace
from app.accounts.sqlite import SqliteDatabase
from app.counts import USAGE_COLUMNS

NOW = 1_800_000_000.0 // DAY * DAY
EVER = Span(0, 2**32)
KEY_AND_MODEL = ("key", "model")


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(FilePlace(str(tmp_path / "usage.db")))


def totals(*numbers: int, busy: float = 0.0) -> Totals:
    """Of one key for each number."""
    usage = {(f"key-{nth}", "m"): [float(number)] * len(USAGE_COLUMNS) for nth, number in enumerate(numbers)}
    return Totals(usage, InstanceTime(1.0, 2 * busy, busy))


def write(database: SqliteDatabase, of: Totals, instance: str = "a", **options: Any) -> None:
    given = {"now": NOW, "is_last": False, **options}
    database.write(lambda session: write_into(session, instance, of, **given))


def read(database: SqliteDatabase, span: Span = EVER, groups: tuple[str, ...] = KEY_AND_MODEL) -> Any:
    return database.read(lambda session: read_span(session, span, groups, instance="a"))


def requests(database: SqliteDatabase, span: Span = EVER) -> list[float]:
    return sorted(counts[0] for counts in read(database, span).rows.values())


def test_nobody_else_reads_the_file(database: SqliteDatabase, tmp_path: Path) -> None:
    write(database, totals(3))

    assert (tmp_path / "usage.db").stat().st_mode & 0o077 == 0


def test_the_same_totals_twice_are_counted_once(database: SqliteDatabase) -> None:
    write(database, totals(3, 5))
    write(database, totals(3, 5))

    assert requests(database) == [3, 5]
    assert read(database).totals[0] == 8


def test_what_has_grown_belongs_to_the_hour_of_the_write(database: SqliteDatabase) -> None:
    write(database, totals(3))
    write(database, totals(10), now=NOW + HOUR)

    assert requests(database, Span(int(NOW), int(NOW) + HOUR)) == [3]
    assert requests(database, Span(int(NOW) + HOUR, int(NOW) + 2 * HOUR)) == [7]


def test_two_instances_add_up(database: SqliteDatabase) -> None:
    write(database, totals(3, busy=4.0), "a")
    write(database, totals(5, busy=5.0), "b")

    assert requests(database) == [8]
    assert read(database).time == InstanceTime(2.0, 18.0, 9.0)


def test_a_writer_that_looked_earlier_takes_nothing_back(database: SqliteDatabase) -> None:
    write(database, totals(9, busy=9.0))
    write(database, totals(4, busy=4.0))
    write(database, totals(10, busy=10.0))

    assert requests(database) == [10]
    assert read(database).time.busy == 10.0


def test_an_instance_that_has_ended_writes_no_more(database: SqliteDatabase) -> None:
    write(database, totals(9), is_last=True)
    write(database, totals(9))

    assert requests(database) == [9]
    assert read(database).written.usage == {}


def test_a_write_that_fails_in_the_middle_has_written_nothing(database: SqliteDatabase) -> None:
    def fail(session: Session) -> None:
        write_into(session, "a", totals(5), now=NOW, is_last=False)
        raise KeyboardInterrupt

    write(database, totals(3))
    with pytest.raises(KeyboardInterrupt):
        database.write(fail)
    write(database, totals(5))

    assert requests(database) == [5]


def test_instances_of_long_ago_are_forgotten_and_their_usage_is_not(database: SqliteDatabase) -> None:
    write(database, totals(3), "old", now=NOW - FORGET_SECONDS - 1)
    write(database, totals(4), "young", now=NOW - FORGET_SECONDS + 1)
    database.write(lambda session: forget_old(session, now=NOW))

    kept = database.read(lambda session: session.run("SELECT instance FROM gateway_written"))
    assert [tuple(row) for row in kept] == [("young",)]
    assert requests(database) == [7]


@pytest.mark.parametrize(
    ("groups", "labels"),
    [
        (("key",), {("key-0",), ("key-1",)}),
        (("model",), {("m",)}),
        (("day",), {(int(NOW),), (int(NOW) + DAY,)}),
    ],
)
def test_rows_are_told_by_one_label(database: SqliteDatabase, groups: Any, labels: set[Any]) -> None:
    write(database, totals(3, 5), now=NOW + 5 * HOUR)
    write(database, totals(4, 5), now=NOW + DAY)

    found = read(database, groups=groups)
    assert found.rows.keys() == labels
    assert sum(counts[0] for counts in found.rows.values()) == 9


def test_tables_of_another_version_are_left_alone(database: SqliteDatabase) -> None:
    database.write(lambda session: session.run("UPDATE gateway_schema SET version = 2"))

    with pytest.raises(AccountsUnavailable, match="another version"):
        write(database, totals(1))


STEPS = st.tuples(
    st.sampled_from("ab"), st.integers(0, 5), st.sampled_from(("write", "stale", "die")), st.integers(0, 3)
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=12))
def test_any_order_of_writers_that_die_or_are_late_counts_all_once(tmp_path: Path, steps: Any) -> None:
    (tmp_path / "usage.db").unlink(missing_ok=True)
    database = SqliteDatabase(FilePlace(str(tmp_path / "usage.db")))
    counted, before = {"a": 0, "b": 0}, {"a": 0, "b": 0}

    def die(session: Session) -> None:
        write_into(session, name, totals(counted[name]), now=NOW, is_last=False)
        raise KeyboardInterrupt

    for name, more, way, hours in steps:
        before[name], counted[name] = counted[name], counted[name] + more
        if way == "die":
            with pytest.raises(KeyboardInterrupt):
                database.write(die)
        else:
            seen = before if way == "stale" else counted
            write(database, totals(seen[name]), name, now=NOW + hours * HOUR)
    for name, number in counted.items():
        write(database, totals(number), name, is_last=True)

    assert sum(requests(database)) == sum(counted.values())
