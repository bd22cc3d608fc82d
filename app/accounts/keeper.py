"""Keeping the usage: the background duty that one worker of the instance does for all; and reading it."""

import logging
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import gevent
import msgspec
from gevent.threadpool import ThreadPool

from app.accounts.book import Found, InstanceTime, Span, Totals, forget_old, read_span, write_totals
from app.accounts.database import Database, Session
from app.accounts.errors import AccountsUnavailable
from app.accounts.report import BY, Source, add_unwritten, make_report
from app.gpu_time import GpuTime
from app.instance import Instance
from app.startup import Startup

TICK_SECONDS = 0.25
WRITE_SECONDS = 5.0
IDLE_SECONDS = 60.0  # when nothing has grown but the time
CLAIM_SECONDS = 30.0  # afterwards another worker takes over: this one has died
WAIT_SECONDS = 12.0  # for one transaction; the thread that is stuck in it is left behind
READ_SECONDS = 5.0
LAST_SECONDS = 0.7  # at the instance's end: entrypoint.sh kills what is left soon after DRAIN_SECONDS
THREADS = 2
REQUESTS = 0  # the column that grows with every other
T = TypeVar("T")
log = logging.getLogger("gateway.usage")


class KeeperReport(msgspec.Struct, frozen=True):
    """How the last write went, for every worker. Times are seconds since the epoch."""

    written_at: float | None = None
    requests: float = 0.0  # that were written
    failure: str | None = None
    failing_since: float | None = None


class UsageKeeper:
    """Has the database know what the instance has counted. Nothing here is waited for by a request."""

    def __init__(
        self,
        database: Database | None,
        instance: Instance,
        gpu_time: GpuTime,
        startup: Startup,
        price_per_hour: float | None,
    ) -> None:
        self._database = database
        self._instance = instance
        self._gpu_time = gpu_time
        self._startup = startup
        self._price_per_hour = price_per_hour
        self._threads: ThreadPool | None = None

    def run(self) -> None:
        """For ever; start it in a greenlet after the fork."""
        while True:
            if self._database is not None and self._instance.claim("usage_due", CLAIM_SECONDS):
                pause = self._write_if_grown(self._database)
                self._instance.set("usage_due", time.monotonic() + pause)
            gevent.sleep(TICK_SECONDS)

    def write_last(self, *, is_last: bool) -> None:
        """Write all there is, within a moment; `is_last` when no worker is left that could count more."""
        if self._database is not None:
            self._write(self._database, self.totals(), LAST_SECONDS, is_last=is_last)

    @property
    def report(self) -> KeeperReport:
        """How the last write went, whichever worker made it."""
        _, content = self._instance.usage_report.read()
        return msgspec.json.decode(content, type=KeeperReport) if content else KeeperReport()

    def totals(self) -> Totals:
        """All that this instance has counted so far."""
        instance, now = self._instance, time.monotonic()
        ready_since = instance.get("ready_since")
        startup = self._startup.elapsed - (now - ready_since if ready_since else 0.0)
        ready = now - ready_since if ready_since else 0.0
        times = InstanceTime(startup, ready, self._gpu_time.busy_seconds())
        return Totals(instance.usage.sums(instance.slots_used), times)

    def usage(self, span: Span, by: str) -> dict[str, Any]:
        """The usage of a span, by one of `BY`, with what is not written yet.

        Without a database that can be read, it is what this instance has counted since it began.
        """
        groups, report, now = BY[by], self.report, time.time()
        kind, failure, found = "memory", report.failure, Found()
        if self._database is not None:
            kind, database, identity = self._database.kind, self._database, self._instance.identity
            try:
                found = self._apart(
                    lambda: database.read(
                        lambda session: read_span(session, span, groups, instance=identity)
                    ),
                    READ_SECONDS,
                )
            except AccountsUnavailable as error:
                kind, failure = "memory", failure or str(error)
        if span.has(now):
            add_unwritten(found, self.totals(), groups, now)
        source = Source(kind, report.written_at, failure)
        return make_report(found, span, groups, self._price_per_hour, source)

    def _write_if_grown(self, database: Database) -> float:
        """Returns after how many seconds to look again."""
        report, totals = self.report, self.totals()
        age = time.time() - (report.written_at or 0.0)
        if report.failure is None and _requests(totals) == report.requests and 0 <= age < IDLE_SECONDS:
            return WRITE_SECONDS * random.uniform(0.8, 1.2)
        self._write(database, totals, WAIT_SECONDS)
        return WRITE_SECONDS * random.uniform(0.8, 1.2)

    def _write(self, database: Database, totals: Totals, seconds: float, *, is_last: bool = False) -> None:
        identity, before = self._instance.identity, self.report

        def work(session: Session) -> None:
            now = time.time()
            if before.written_at is None:
                forget_old(session, now=now)
            write_totals(session, identity, totals, now=now, is_last=is_last)

        try:
            self._apart(lambda: database.write(work), seconds)
        except AccountsUnavailable as error:
            self._note_failure(before, str(error))
        else:
            self._note_success(before, totals)

    def _apart(self, work: Callable[[], T], seconds: float) -> T:
        """Do it in a thread: a disk would stop the event loop. Raises AccountsUnavailable."""

        def caught() -> T | AccountsUnavailable:
            try:
                return work()
            except AccountsUnavailable as error:
                return error  # gevent would print an exception that leaves a thread

        if self._threads is None:
            self._threads = ThreadPool(THREADS)  # after the fork
        with gevent.Timeout(seconds, AccountsUnavailable("it does not answer in time")):
            outcome = self._threads.apply(caught)
        if isinstance(outcome, AccountsUnavailable):
            raise outcome
        return outcome

    def _note_failure(self, before: KeeperReport, reason: str) -> None:
        since = before.failing_since or time.time()
        if before.failure is None:
            log.warning("usage is not written; it is kept in memory", extra={"reason": reason})
        self._publish(KeeperReport(before.written_at, before.requests, reason, since))

    def _note_success(self, before: KeeperReport, totals: Totals) -> None:
        now = time.time()
        if before.failing_since is not None:
            log.warning("usage is written again", extra={"seconds": round(now - before.failing_since, 1)})
        self._publish(KeeperReport(now, _requests(totals)))

    def _publish(self, report: KeeperReport) -> None:
        with self._instance.lock():
            self._instance.usage_report.publish(msgspec.json.encode(report))


def _requests(totals: Totals) -> float:
    return sum(counts[REQUESTS] for counts in totals.usage.values())
