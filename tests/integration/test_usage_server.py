"""A database server that fails costs no request anything, and several instances share one."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.gateway import wait_until
from tests.postgresql_server import PASSWORD, PostgresqlServer
from tests.usage_command import UsageCommand
from tests.usage_keeping import BEGINS, ENDS, NOTICE_SECONDS, Start, ask, counted, end, told
from tests.usage_traffic import ask_usage, settled_usage


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as running:
        yield running


def test_instances_share_a_server_and_their_end_leaves_nothing_to_count_again(
    start_keeping: Start, server: PostgresqlServer
) -> None:
    before = UsageCommand(USAGE_DATABASE=server.url())
    gateways = [
        start_keeping(USAGE_DATABASE=server.url()),
        start_keeping(USAGE_DATABASE=server.url(host=server.socket_folder)),
    ]
    earlier = before.report()["totals"]["requests"]
    with ThreadPoolExecutor(2) as clients:
        list(clients.map(lambda gateway: ask(gateway, 30), gateways))
    wait_until(lambda: counted(gateways[0]) >= earlier + 30)
    with ThreadPoolExecutor(2) as clients:
        list(clients.map(end, gateways))

    report = before.report()
    assert report["totals"]["requests"] == earlier + 60
    assert report["source"]["kept_in"] == "postgresql"
    assert server.query("SELECT count(*) FROM gateway_written") == "0"
    assert not any(told(gateway, BEGINS) for gateway in gateways)


def test_a_server_that_is_away_costs_no_request_anything(
    start_keeping: Start, server: PostgresqlServer
) -> None:
    gateway = start_keeping(USAGE_DATABASE=server.url())
    earlier = counted(gateway)
    ask(gateway)
    server.stop()
    ask(gateway)
    wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)
    settled_usage(gateway, 10)
    server.start()
    wait_until(lambda: told(gateway, ENDS), NOTICE_SECONDS)

    assert counted(gateway) == earlier + 10
    assert int(server.query("SELECT SUM(requests) FROM gateway_usage")) == earlier + 10
    log = gateway.log_file.read_text()
    assert PASSWORD not in log
    assert "made-up-p" not in log


def test_a_server_that_hangs_delays_neither_a_request_nor_the_end(
    start_keeping: Start, server: PostgresqlServer
) -> None:
    gateway = start_keeping(USAGE_DATABASE=server.url())
    with server.hanging():
        ask(gateway)
        wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)
        ask(gateway)
        assert max(line["duration_ms"] for line in gateway.log_lines(route="/v1/chat/completions")) < 2000
        began = time.monotonic()
        end(gateway)
        assert time.monotonic() - began < 3


def test_a_wrong_password_is_told_without_it(start_keeping: Start, server: PostgresqlServer) -> None:
    gateway = start_keeping(USAGE_DATABASE=server.url().replace("made-up-p", "wrong-p"))

    wait_until(lambda: told(gateway, BEGINS), NOTICE_SECONDS)

    failure = ask_usage(gateway)["source"]["failure"]
    assert "password authentication failed" in failure
    assert "wrong-p" not in failure + gateway.log_file.read_text()
