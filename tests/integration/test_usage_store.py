"""A disk or a server that fails costs no request anything, and no count is lost."""

import json
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.accounts.sqlite import BUSY_SECONDS
from tests.fake_vllm import FakeVllmThread
from tests.gateway import Gateway, wait_until
from tests.postgresql_server import PASSWORD, PostgresqlServer
from tests.usage_command import UsageCommand
from tests.usage_traffic import ADMIN, KEYS, ask_usage, write_keys

BEGINS, ENDS = "usage is not written; it is kept in memory", "usage is written again"
NOTICE_SECONDS = 15.0  # until the next write has been tried
Start = Callable[..., Gateway]
MIB = 1024 * 1024


@pytest.fixture
def start(tmp_path: Path, upstream: FakeVllmThread) -> Iterator[Start]:
    """Start a gateway, each in a folder of its own."""
    with ExitStack() as stack:

        def begin(**settings: Any) -> Gateway:
            folder = tmp_path / f"gateway-{time.monotonic_ns()}"
            folder.mkdir()
            write_keys(folder)
            gateway = stack.enter_context(Gateway(folder, upstream.url, **settings))
            gateway.wait_ready()
            return gateway

        yield begin


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as running:
        yield running


def ask(gateway: Gateway, times: int = 5) -> None:
    """Requests that succeed."""
    for _ in range(times):
        body = {
            "model": "fake/model-1",
            "messages": [{"role": "user", "content": "hi"}],
            "fake": {"events": 4},
        }
        assert gateway.post("/v1/chat/completions", body, KEYS["tester"]).status == 200


def counted(gateway: Gateway) -> int:
    return int(ask_usage(gateway)["totals"]["requests"])


def in_file(path: Path) -> int:
    """What the command reads there."""
    return int(UsageCommand(USAGE_DATABASE=str(path)).report()["totals"]["requests"])


def told(gateway: Gateway, message: str) -> list[dict[str, Any]]:
    return gateway.log_lines(logger="gateway.usage", message=message)


def end(gateway: Gateway) -> None:
    gateway.process.terminate()
    assert gateway.process.wait(15) == 0


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


def test_where_no_file_can_be_made_usage_is_kept_in_memory(start: Start) -> None:
    gateway = start(USAGE_DATABASE="/proc/usage.db")

    ask(gateway)

    report = ask_usage(gateway)
    assert report["totals"]["requests"] == 5
    assert report["source"]["kept_in"] == "memory"
    assert "unable to open database file" in report["source"]["failure"]
    assert len(wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)) == 1


def test_a_file_that_is_locked_delays_no_request_and_is_written_later(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    gateway = start(USAGE_DATABASE=path)
    ask(gateway)
    with locked(path):
        ask(gateway)
        wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)
        assert max(line["duration_ms"] for line in gateway.log_lines(route="/v1/chat/completions")) < 2000
        assert counted(gateway) == 10
        assert "locked" in ask_usage(gateway)["source"]["failure"]
    wait_until(lambda: told(gateway, ENDS), NOTICE_SECONDS)

    assert ask_usage(gateway)["source"]["failure"] is None
    assert in_file(path) == counted(gateway) == 10
    assert [len(told(gateway, message)) for message in (BEGINS, ENDS)] == [1, 1]


def test_a_disk_that_is_full_fails_no_request_and_is_written_later(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    make_long(path)
    gateway = start(USAGE_DATABASE=path)
    ask(gateway)
    with full(gateway):
        ask(gateway)
        wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)
        assert counted(gateway) == 10
    wait_until(lambda: told(gateway, ENDS), NOTICE_SECONDS)

    assert in_file(path) == counted(gateway) == 10


def test_an_instance_ends_in_time_beside_a_locked_file(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    gateway = start(USAGE_DATABASE=path)
    with locked(path):
        ask(gateway)
        end(gateway)

    [stopping] = gateway.log_lines(message="Shutting down: Master")
    [failed] = told(gateway, BEGINS)
    waited = datetime.fromisoformat(failed["time"]) - datetime.fromisoformat(stopping["time"])
    assert waited.total_seconds() < BUSY_SECONDS - 0.5


def test_a_file_that_is_no_database_is_moved_aside(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    path.write_bytes(b"no database at all" * 1000)
    gateway = start(USAGE_DATABASE=path)
    ask(gateway)
    end(gateway)

    [line] = gateway.log_lines(message="usage file is damaged and was moved aside")
    assert Path(line["moved_to"]).read_bytes().startswith(b"no database")
    assert in_file(path) == 5


@pytest.mark.parametrize("harm", ["overwritten", "removed"])
def test_a_file_that_comes_to_harm_is_made_again_with_all_of_this_instance(
    start: Start, tmp_path: Path, harm: str
) -> None:
    path = tmp_path / "usage.db"
    gateway = start(USAGE_DATABASE=path)
    ask(gateway)
    wait_until(lambda: in_file(path) == 5, NOTICE_SECONDS)
    if harm == "removed":
        path.unlink()
    else:
        path.write_bytes(b"\xff" * path.stat().st_size)
    ask(gateway)
    end(gateway)

    assert in_file(path) == 10


def test_two_instances_share_a_file(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    gateways = [start(USAGE_DATABASE=path) for _ in range(2)]
    with ThreadPoolExecutor(2) as clients:
        list(clients.map(lambda gateway: ask(gateway, 30), gateways))
    with ThreadPoolExecutor(2) as clients:
        list(clients.map(end, gateways))

    assert in_file(path) == 60
    assert not any(told(gateway, BEGINS) for gateway in gateways)


def test_instances_share_a_server_and_their_end_leaves_nothing_to_count_again(
    start: Start, server: PostgresqlServer
) -> None:
    before = UsageCommand(USAGE_DATABASE=server.url())
    gateways = [
        start(USAGE_DATABASE=server.url()),
        start(USAGE_DATABASE=server.url(host=server.socket_folder)),
    ]
    earlier = before.report()["totals"]["requests"]
    with ThreadPoolExecutor(2) as clients:
        list(clients.map(lambda gateway: ask(gateway, 30), gateways))
    assert counted(gateways[0]) >= earlier + 30
    with ThreadPoolExecutor(2) as clients:
        list(clients.map(end, gateways))

    report = before.report()
    assert report["totals"]["requests"] == earlier + 60
    assert report["source"]["kept_in"] == "postgresql"
    assert server.query("SELECT count(*) FROM gateway_written") == "0"
    assert not any(told(gateway, BEGINS) for gateway in gateways)


def test_a_server_that_is_away_costs_no_request_anything(start: Start, server: PostgresqlServer) -> None:
    gateway = start(USAGE_DATABASE=server.url())
    earlier = counted(gateway)
    ask(gateway)
    server.stop()
    ask(gateway)
    wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)
    assert counted(gateway) == 10
    server.start()
    wait_until(lambda: told(gateway, ENDS), NOTICE_SECONDS)

    assert counted(gateway) == earlier + 10
    assert int(server.query("SELECT SUM(requests) FROM gateway_usage")) == earlier + 10
    log = gateway.log_file.read_text()
    assert PASSWORD not in log
    assert "made-up-p" not in log


def test_a_server_that_hangs_delays_neither_a_request_nor_the_end(
    start: Start, server: PostgresqlServer
) -> None:
    gateway = start(USAGE_DATABASE=server.url())
    with server.hanging():
        ask(gateway)
        wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)
        ask(gateway)
        assert max(line["duration_ms"] for line in gateway.log_lines(route="/v1/chat/completions")) < 2000
        began = time.monotonic()
        end(gateway)
        assert time.monotonic() - began < 3


def test_a_wrong_password_is_told_without_it(start: Start, server: PostgresqlServer) -> None:
    gateway = start(USAGE_DATABASE=server.url().replace("made-up-p", "wrong-p"))

    wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)

    failure = ask_usage(gateway)["source"]["failure"]
    assert "password authentication failed" in failure
    assert "wrong-p" not in failure + gateway.log_file.read_text()


def test_nothing_is_written_when_it_is_off(start: Start) -> None:
    gateway = start(USAGE_DATABASE="off")
    ask(gateway)

    report = ask_usage(gateway)
    assert report["totals"]["requests"] == 5
    assert report["source"] == {"kept_in": "memory", "kept_since": None, "written_at": None, "failure": None}
    assert json.dumps(report).count(ADMIN) == 0
