"""Usage as it is now: what is kept, and what this instance has not written yet."""

import time
from typing import Any

from app.accounts.book import Found, Span, read_span
from app.accounts.database import Database
from app.accounts.errors import AccountsUnavailable
from app.accounts.keeper import UsageKeeper
from app.accounts.report import BY, Source, add_unwritten, make_report
from app.accounts.threads import DatabaseThreads

READ_SECONDS = 5.0
MEMORY = "memory"


class UsageReader:
    """Reports the usage of all instances that share the database of `keeper`."""

    def __init__(self, keeper: UsageKeeper, price_per_hour: float | None) -> None:
        self._keeper = keeper
        self._price_per_hour = price_per_hour
        self._threads = DatabaseThreads()

    def report(self, span: Span, by: str) -> dict[str, Any]:
        """The usage of a span, in rows by one of `BY`.

        Without a database that can be read, it is what this instance has counted since it began.
        """
        keeper, groups, now = self._keeper, BY[by], time.time()
        state, database, found = keeper.state, keeper.database, Found()
        kept_in, failure = MEMORY, state.failure
        if database is not None:
            try:
                found = self._read(database, span, groups)
                kept_in = database.kind
            except AccountsUnavailable as error:
                failure = failure or str(error)
        if span.has(now):
            add_unwritten(found, keeper.tally.totals(), groups, now)
        return make_report(
            found, span, groups, self._price_per_hour, Source(kept_in, state.written_at, failure)
        )

    def _read(self, database: Database, span: Span, groups: tuple[str, ...]) -> Found:
        identity = self._keeper.identity
        return self._threads.do(
            lambda: database.read(lambda session: read_span(session, span, groups, instance=identity)),
            READ_SECONDS,
        )
