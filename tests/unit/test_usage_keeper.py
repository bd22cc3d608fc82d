"""When usage is written, and what is told when it cannot be."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.accounts.book import Span
from app.accounts.errors import AccountsUnavailable
from app.accounts.keeper import IDLE_SECONDS, UsageKeeper
from app.accounts.place import FilePlace
from app.accounts.reader import UsageReader
from app.accounts.sqlite import SqliteDatabase
from app.accounts.tally import Tally
from app.counts import USAGE_COLUMNS
from app.gpu_time import GpuTime
from app.instance import Instance
from app.settings import Settings
from app.startup import READY, Startup
from tests.unit.conftest import Clock

EVER = Span(0, 2**32)


class Failing:
    """A database of which nothing can be had while `reason` says why."""

    kind = "sqlite"

    def __init__(self, whole: SqliteDatabase) -> None:
        self.reason: str | None = None
        self.writes = 0
        self._whole = whole

    def write(self, work: Callable[[Any], Any]) -> Any:
        self.writes += 1
        return self._do(self._whole.write, work)

    def read(self, work: Callable[[Any], Any]) -> Any:
        return self._do(self._whole.read, work)

    def _do(self, way: Callable[[Any], Any], work: Callable[[Any], Any]) -> Any:
        if self.reason is not None:
            raise AccountsUnavailable(self.reason)
        return way(work)


@pytest.fixture
def instance() -> Instance:
    return Instance()


@pytest.fixture
def database(tmp_path: Path) -> Failing:
    return Failing(SqliteDatabase(FilePlace(str(tmp_path / "usage.db"))))


@pytest.fixture
def keeper(instance: Instance, database: Failing) -> UsageKeeper:
    return keeper_of(instance, database)


def keeper_of(instance: Instance, database: Any) -> UsageKeeper:
    return UsageKeeper(database, instance, Tally(instance, GpuTime(instance), Startup(Settings(), instance)))


def use(instance: Instance, requests: int = 1) -> None:
    rows = instance.usage.slot(0)
    rows.cells[rows.start(("laptop", "m")) + USAGE_COLUMNS.index("requests")] += requests


def report(keeper: UsageKeeper) -> dict[str, Any]:
    return UsageReader(keeper, None).report(EVER, "")


def requests(keeper: UsageKeeper) -> int:
    return int(report(keeper)["totals"]["requests"])


def test_what_nobody_has_added_to_is_not_written_again(
    keeper: UsageKeeper, instance: Instance, database: Failing
) -> None:
    keeper.write_if_grown()
    keeper.write_if_grown()
    assert database.writes == 1
    use(instance)
    keeper.write_if_grown()
    assert database.writes == 2


def test_the_time_alone_is_written_every_minute(
    keeper: UsageKeeper, database: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.write_if_grown()
    written_at = keeper.state.written_at or 0.0
    monkeypatch.setattr("time.time", lambda: written_at + IDLE_SECONDS - 1)
    keeper.write_if_grown()
    assert database.writes == 1
    monkeypatch.setattr("time.time", lambda: written_at + IDLE_SECONDS)
    keeper.write_if_grown()
    assert database.writes == 2


def test_a_failure_is_told_once_and_so_is_its_end(
    keeper: UsageKeeper, instance: Instance, database: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    database.reason = "the disk is full"
    for _ in range(3):
        keeper.write_if_grown()
    database.reason = None
    for _ in range(3):
        use(instance)
        keeper.write_if_grown()

    told = [(line.levelname, line.message, getattr(line, "reason", None)) for line in caplog.records]
    assert told == [
        ("WARNING", "usage is not written; it is kept in memory", "the disk is full"),
        ("WARNING", "usage is written again", None),
    ]


def test_a_machine_without_threads_is_a_failure_like_any_other(
    keeper: UsageKeeper, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    use(instance, 3)
    with monkeypatch.context() as patch:
        patch.setattr("gevent.threadpool.start_new_thread", refuse)
        keeper.write_if_grown()
        assert report(keeper)["totals"]["requests"] == 3
    assert "short of threads" in (keeper.state.failure or "")
    keeper.write_if_grown()

    assert keeper.state.failure is None
    assert requests(keeper) == 3


def test_all_workers_know_how_the_last_write_went(instance: Instance, database: Failing) -> None:
    database.reason = "the disk is full"
    keeper_of(instance, database).write_if_grown()

    assert keeper_of(instance, database).state.failure == "the disk is full"


def test_what_could_not_be_written_is_told_and_written_later(
    keeper: UsageKeeper, instance: Instance, database: Failing
) -> None:
    use(instance, 3)
    keeper.write_if_grown()
    database.reason = "the disk is full"
    use(instance, 4)
    keeper.write_if_grown()
    assert requests(keeper) == 7
    assert report(keeper)["source"]["kept_in"] == "memory"
    database.reason = None
    keeper.write_if_grown()

    assert requests(keeper) == 7
    assert report(keeper)["source"]["kept_in"] == "sqlite"


def test_after_the_last_write_nothing_is_counted_twice(
    keeper: UsageKeeper, instance: Instance, database: Failing
) -> None:
    use(instance, 3)
    keeper.write_last(is_last=True)
    keeper.write_last(is_last=True)

    assert requests(keeper_of(Instance(), database)) == 3


def test_without_a_database_nothing_is_written_and_all_is_told(instance: Instance) -> None:
    keeper = keeper_of(instance, None)
    use(instance, 3)
    keeper.write_if_grown()
    keeper.write_last(is_last=True)

    assert requests(keeper) == 3
    assert report(keeper)["source"] == {
        "kept_in": "memory",
        "kept_since": None,
        "written_at": None,
        "failure": None,
    }


def test_the_time_until_the_model_is_ready_is_no_idle_time(clock: Clock) -> None:
    instance = Instance()
    startup = Startup(Settings(), instance)
    gpu_time = GpuTime(instance)
    tally = Tally(instance, gpu_time, startup)
    clock.go(30)
    startup.begin(READY)
    clock.go(10)
    entered = gpu_time.enter()
    clock.go(5)
    gpu_time.leave(entered)
    clock.go(1)

    assert tally.totals().time == (30, 16, 5)
