"""A store that never answers: it is given up in time, and stops nothing meanwhile."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
import pytest

from app.instance import Instance
from app.keys import shared
from app.keys.errors import StoreUnavailable
from app.keys.file_store import FileStore
from app.keys.refresh import KeyRefresh
from app.keys.shared import SharedKeys


@pytest.fixture
def instance() -> Instance:
    return Instance()


def tick(ticks: list[float]) -> None:
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.01)


class Silent:
    """A store that never answers, and whose client swallows every ordinary exception meanwhile."""

    kind, has_versions, blocks = "file", False, False

    def read(self, version: int | None = None) -> Any:
        while True:
            with suppress(Exception):
                gevent.sleep(60)


def test_a_store_that_never_answers_is_given_up_also_when_a_library_would_go_on(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "STORE_SECONDS", 0.05)

    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        SharedKeys(Silent(), instance).reload()


def test_a_file_that_hangs_stops_neither_the_event_loop_nor_the_reload_for_ever(
    tmp_path: Path, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "STORE_SECONDS", 0.2)
    os.mkfifo(tmp_path / "keys.json")  # opening it waits for a writer
    ticks: list[float] = []
    ticking = gevent.spawn(tick, ticks)

    with pytest.raises(StoreUnavailable):
        SharedKeys(FileStore(str(tmp_path / "keys.json")), instance).reload()

    ticking.kill()
    with open(tmp_path / "keys.json", "wb"):  # lets the thread go
        assert len(ticks) > 5


def test_several_reloads_of_a_silent_store_are_all_given_up_in_the_same_time(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "STORE_SECONDS", 0.3)
    keys = SharedKeys(Silent(), instance)
    began = time.monotonic()

    reloads = [gevent.spawn(keys.reload) for _ in range(5)]
    gevent.joinall(reloads)

    assert time.monotonic() - began < 0.9
    assert {type(each.exception) for each in reloads} == {StoreUnavailable}


def test_a_store_that_stays_silent_is_logged_once(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shared, "STORE_SECONDS", 0.02)
    refresh = KeyRefresh(SharedKeys(Silent(), instance), instance, 60.0)

    for _ in range(3):
        refresh.refresh()

    assert [record.reason for record in caplog.records] == ["the store did not answer in time"]  # type: ignore[attr-defined]


class Exhausted(Silent):
    """A store on a machine that has no thread left."""

    def read(self, version: int | None = None) -> Any:
        raise RuntimeError("can't start new thread")


def test_a_machine_short_of_everything_is_a_failure_like_others(instance: Instance) -> None:
    keys = SharedKeys(Exhausted(), instance)

    with pytest.raises(StoreUnavailable, match="short of threads, files or memory"):
        keys.reload()
    with pytest.raises(StoreUnavailable):
        keys.reload()
