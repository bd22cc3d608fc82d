"""How often the status page has the usage read."""

import time
from typing import Any, cast

import pytest

from app.accounts.reader import UsageReader
from app.status_page.month_usage import KEPT_SECONDS, RETRY_SECONDS, MonthUsage

READ_SECONDS = 5.0  # as long as a database that hangs is waited for


class Reading:
    """A reader whose database takes its time; `asked` has the moments at which it was."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.asked: list[float] = []
        self.failure: str | None = None
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def report(self, *_wishes: object) -> dict[str, Any]:
        self.asked.append(self.now)
        self.now += READ_SECONDS
        return {"source": {"failure": self.failure}}


@pytest.mark.parametrize(
    ("failure", "pause"), [(None, KEPT_SECONDS), ("it hangs", RETRY_SECONDS - READ_SECONDS)]
)
def test_a_slow_database_is_left_alone_for_a_while_after_it_was_read(
    monkeypatch: pytest.MonkeyPatch, failure: str | None, pause: float
) -> None:
    reading = Reading(monkeypatch)
    reading.failure = failure
    usage = MonthUsage(cast(UsageReader, reading))
    usage.report()
    for after in (0.0, pause - 0.1):
        reading.now = 105.0 + after
        usage.report()
    known = len(reading.asked)

    reading.now = 105.0 + pause
    usage.report()

    assert (known, len(reading.asked)) == (1, 2)
