"""Lines of the log: each request has one, unless strangers ask for too many."""

import logging
from typing import Any

import pytest

from app.logs import RequestRecord
from app.request_log import LINES_AT_ONCE, MAX_PEERS, RequestLog
from app.settings import Settings
from tests.unit.conftest import Clock


class Lines:
    """What was written."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "gateway.request")
        self._caplog = caplog

    @property
    def requests(self) -> int:
        return self._caplog.messages.count("request")

    @property
    def told(self) -> list[dict[str, Any]]:
        return [vars(line) for line in self._caplog.records if line.message != "request"]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    return Lines(caplog)


def refused(**fields: Any) -> RequestRecord:
    return RequestRecord(**{"peer": "203.0.113.9", "status": 404, **fields})


def write(log: RequestLog, times: int, **fields: Any) -> None:
    for _ in range(times):
        log.write(refused(**fields))


def test_strangers_have_two_thousand_lines_at_once_and_then_eight_a_second(
    clock: Clock, lines: Lines
) -> None:
    log = RequestLog(Settings())
    write(log, LINES_AT_ONCE + 100)
    assert lines.requests == LINES_AT_ONCE

    clock.go(3.01)
    write(log, 100)

    assert lines.requests == LINES_AT_ONCE + 24


@pytest.mark.parametrize("status", [200, 404, 499, 503])
def test_whoever_has_a_key_is_always_written_of(clock: Clock, lines: Lines, status: int) -> None:
    log = RequestLog(Settings())
    write(log, LINES_AT_ONCE)

    write(log, 1000, key_name="tester", status=status)

    assert lines.requests == LINES_AT_ONCE + 1000


@pytest.mark.parametrize(("flood", "other"), [(404, 503), (400, 500), (503, 404)])
def test_refusals_and_failures_hide_no_lines_of_each_other(
    clock: Clock, lines: Lines, flood: int, other: int
) -> None:
    log = RequestLog(Settings())
    write(log, LINES_AT_ONCE + 100, status=flood)

    write(log, LINES_AT_ONCE + 100, status=other)

    assert lines.requests == 2 * LINES_AT_ONCE


def test_a_wrong_key_too_many_has_no_line_while_there_is_room(clock: Clock, lines: Lines) -> None:
    write(RequestLog(Settings()), 1, status=401, throttled="203.0.113.9")

    assert lines.requests == 0


def test_what_was_not_written_is_told_in_one_line(clock: Clock, lines: Lines) -> None:
    log = RequestLog(Settings())
    write(log, 3, status=401, throttled="2001:db8::/64")
    write(log, 2, status=401, throttled="203.0.113.10")
    write(log, LINES_AT_ONCE + 4)

    log.tell()

    (told,) = lines.told
    assert (told["levelname"], told["message"]) == ("WARNING", "requests were not logged")
    assert (told["count"], told["statuses"], told["noisiest"]) == (9, {"401": 5, "404": 4}, "203.0.113.9")


def test_it_is_told_at_most_every_ten_seconds_and_each_request_once(clock: Clock, lines: Lines) -> None:
    log = RequestLog(Settings())
    for _ in range(100):  # half a minute
        write(log, 1, status=401, throttled="203.0.113.9")
        log.tell()
        clock.go(0.3)

    assert [told["count"] for told in lines.told] == [1, 34, 34]


def test_the_end_of_a_worker_leaves_nothing_untold(clock: Clock, lines: Lines) -> None:
    log = RequestLog(Settings())
    write(log, 1, status=401, throttled="203.0.113.9")
    log.tell()
    write(log, 7, status=401, throttled="203.0.113.9")

    log.tell(is_last=True)

    assert [told["count"] for told in lines.told] == [1, 7]


def test_nothing_is_told_where_everything_was_written(clock: Clock, lines: Lines) -> None:
    log = RequestLog(Settings())
    write(log, 10)

    log.tell(is_last=True)

    assert lines.told == []


def test_the_noisiest_is_safe_to_print(clock: Clock, lines: Lines) -> None:
    log = RequestLog(Settings())
    write(log, LINES_AT_ONCE + 1, peer="a\r\nb" * 100)

    log.tell()

    assert lines.told[0]["noisiest"] == ("a??b" * 100)[:200]


def test_the_noisiest_is_known_behind_more_addresses_than_are_counted(clock: Clock, lines: Lines) -> None:
    log = RequestLog(Settings())
    write(log, 2, status=401, throttled="203.0.113.9")
    for number in range(MAX_PEERS + 10):
        write(log, 1, status=401, throttled=f"2001:db8:{number:x}::/64")

    log.tell()

    (told,) = lines.told
    assert (told["count"], told["noisiest"]) == (MAX_PEERS + 12, "203.0.113.9")


@pytest.mark.parametrize(
    ("route", "status", "is_written"),
    [
        ("/health", 200, False),
        ("/health/ready", 503, True),
        ("/health/startup", 503, False),
        ("/v1/models", 200, True),
    ],
)
def test_probes_are_written_only_where_they_went_wrong(
    clock: Clock, lines: Lines, route: str, status: int, is_written: bool
) -> None:
    write(RequestLog(Settings()), 1, route=route, status=status)

    assert lines.requests == is_written
