"""A disk that fails costs no request anything, and no count is lost."""

import json
import resource
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from app.accounts.sqlite import BUSY_SECONDS
from tests.gateway import Gateway, wait_until
from tests.usage_command import UsageCommand
from tests.usage_keeping import BEGINS, ENDS, NOTICE_SECONDS, Start, ask, counted, end, told
from tests.usage_traffic import ADMIN, ask_usage, settled_usage

MIB = 1024 * 1024


def in_file(path: Path) -> int:
    """What the command reads there."""
    return int(UsageCommand(USAGE_DATABASE=str(path)).report()["totals"]["requests"])


def make_long(path: Path) -> None:
    """Whatever is added to it will stand behind so much."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE filler (content)")
        database.execute("INSERT INTO filler VALUES (zeroblob(?))", (16 * MIB,))
        database.commit()


@contextmanager
def full(gateway: Gateway) -> Iterator[None]:
    """No file may be written behind so much, as if the disk ended there."""
    workers = gateway.worker_pids()
    for pid in workers:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (8 * MIB, resource.RLIM_INFINITY))
    yield
    for pid in workers:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else writes for a long time."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield


def test_where_no_file_can_be_made_usage_is_kept_in_memory(start_keeping: Start) -> None:
    gateway = start_keeping(USAGE_DATABASE="/proc/usage.db")

    ask(gateway)

    report = settled_usage(gateway, 5)
    assert report["source"]["kept_in"] == "memory"
    assert "unable to open database file" in report["source"]["failure"]
    assert len(wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)) == 1


def test_a_file_that_is_locked_delays_no_request_and_is_written_later(
    start_keeping: Start, tmp_path: Path
) -> None:
    path = tmp_path / "usage.db"
    gateway = start_keeping(USAGE_DATABASE=path)
    ask(gateway)
    with locked(path):
        ask(gateway)
        wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)
        assert max(line["duration_ms"] for line in gateway.log_lines(route="/v1/chat/completions")) < 2000
        assert "locked" in settled_usage(gateway, 10)["source"]["failure"]
    wait_until(lambda: told(gateway, ENDS), NOTICE_SECONDS)

    assert ask_usage(gateway)["source"]["failure"] is None
    assert in_file(path) == counted(gateway) == 10
    assert [len(told(gateway, message)) for message in (BEGINS, ENDS)] == [1, 1]


def test_a_disk_that_is_full_fails_no_request_and_is_written_later(
    start_keeping: Start, tmp_path: Path
) -> None:
    path = tmp_path / "usage.db"
    make_long(path)
    gateway = start_keeping(USAGE_DATABASE=path)
    ask(gateway)
    with full(gateway):
        ask(gateway)
        wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)
        settled_usage(gateway, 10)
    wait_until(lambda: told(gateway, ENDS), NOTICE_SECONDS)

    assert in_file(path) == counted(gateway) == 10


def test_an_instance_ends_in_time_beside_a_locked_file(start_keeping: Start, tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    gateway = start_keeping(USAGE_DATABASE=path)
    with locked(path):
        ask(gateway)
        end(gateway)

    [stopping] = gateway.log_lines(message="Shutting down: Master")
    [failed] = told(gateway, BEGINS)
    waited = datetime.fromisoformat(failed["time"]) - datetime.fromisoformat(stopping["time"])
    assert waited.total_seconds() < BUSY_SECONDS - 0.5


def test_a_file_that_is_no_database_is_moved_aside(start_keeping: Start, tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    path.write_bytes(b"no database at all" * 1000)
    gateway = start_keeping(USAGE_DATABASE=path)
    ask(gateway)
    end(gateway)

    [line] = gateway.log_lines(message="usage file is damaged and was moved aside")
    assert Path(line["moved_to"]).read_bytes().startswith(b"no database")
    assert in_file(path) == 5


@pytest.mark.parametrize("harm", ["overwritten", "removed"])
def test_a_file_that_comes_to_harm_is_made_again_with_all_of_this_instance(
    start_keeping: Start, tmp_path: Path, harm: str
) -> None:
    path = tmp_path / "usage.db"
    gateway = start_keeping(USAGE_DATABASE=path)
    ask(gateway)
    wait_until(lambda: in_file(path) == 5, NOTICE_SECONDS)
    if harm == "removed":
        path.unlink()
    else:
        path.write_bytes(b"\xff" * path.stat().st_size)
    ask(gateway)
    end(gateway)

    assert in_file(path) == 10


def test_two_instances_share_a_file(start_keeping: Start, tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    gateways = [start_keeping(USAGE_DATABASE=path) for _ in range(2)]
    with ThreadPoolExecutor(2) as clients:
        list(clients.map(lambda gateway: ask(gateway, 30), gateways))
    with ThreadPoolExecutor(2) as clients:
        list(clients.map(end, gateways))

    assert in_file(path) == 60
    assert not any(told(gateway, BEGINS) for gateway in gateways)


def test_nothing_is_written_when_it_is_off(start_keeping: Start) -> None:
    gateway = start_keeping(USAGE_DATABASE="off")
    ask(gateway)

    report = settled_usage(gateway, 5)
    assert report["source"] == {"kept_in": "memory", "kept_since": None, "written_at": None, "failure": None}
    assert json.dumps(report).count(ADMIN) == 0
