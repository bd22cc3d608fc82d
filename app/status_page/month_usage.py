"""The usage of this month, read from where it is kept every few seconds at most, by each worker."""

import time
from typing import Any

from app.accounts.reader import UsageReader
from app.accounts.span import parse_span

KEPT_SECONDS = 5.0  # a database on another machine takes a while, and every open page asks
RETRY_SECONDS = 30.0  # of one that could not be read, which may take seconds to show


class MonthUsage:
    """What `/admin/usage` says by default."""

    def __init__(self, reader: UsageReader) -> None:
        self._reader = reader
        self._due = 0.0
        self._report: dict[str, Any] = {}

    def report(self) -> dict[str, Any]:
        """Rows by key and model, the instances' time and costs, as `app.accounts.report` makes them."""
        now = time.monotonic()
        if now >= self._due or not self._report:
            self._due = now + RETRY_SECONDS  # who asks meanwhile gets what was known before
            self._report = self._reader.report(parse_span(None, None), "")
            if self._report["source"]["failure"] is None:
                self._due = time.monotonic() + KEPT_SECONDS
        return self._report
