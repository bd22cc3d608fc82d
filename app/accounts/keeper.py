"""Keeping the usage: the background duty that one worker of the instance does for all."""

import logging
import random
import time
from collections.abc import Callable

import gevent
import msgspec

from app.accounts.book import Totals, forget_old, write_totals
from app.accounts.database import Database, Session
from app.accounts.errors import AccountsUnavailable, DamagedFile
from app.accounts.tally import Tally
from app.accounts.threads import DatabaseThreads
from app.instance import Instance

TICK_SECONDS = 0.25
WRITE_SECONDS = 5.0
IDLE_SECONDS = 60.0  # when nothing has grown but the time
WAIT_SECONDS = 12.0  # for one transaction
CLAIM_SECONDS = 30.0  # afterwards another worker takes over: this one has died
LAST_SECONDS = 0.7  # at the instance's end: entrypoint.sh kills what is left soon after DRAIN_SECONDS
REQUESTS = 0  # the column that grows with every other
log = logging.getLogger("gateway.usage")


class KeeperState(msgspec.Struct, frozen=True):
    """How the last write went, for every worker. Times are seconds since the epoch."""

    written_at: float | None = None
    requests: float = 0.0  # that were written
    failure: str | None = None
    failing_since: float | None = None


class UsageKeeper:
    """Has the database know what the instance has counted. No request waits for any of it.

    What cannot be written stays in memory, and is written as soon as it can be.
    """

    def __init__(self, database: Database | None, instance: Instance, tally: Tally) -> None:
        self.database = database
        self.tally = tally
        self.identity = instance.identity
        self._instance = instance
        self._threads = DatabaseThreads()

    def run(self) -> None:
        """For ever; start it in a greenlet after the fork."""
        while True:
            if self.database is not None and self._instance.claim("usage_due", CLAIM_SECONDS):
                self.write_if_grown()
                pause = WRITE_SECONDS * random.uniform(0.8, 1.2)
                self._instance.set("usage_due", time.monotonic() + pause)
            gevent.sleep(TICK_SECONDS)

    def write_if_grown(self) -> None:
        """Write, unless nobody has asked anything since the last write; the time alone can wait."""
        state, totals = self.state, self.tally.totals()
        age = time.time() - (state.written_at or 0.0)
        has_grown = _requests(totals) != state.requests or not 0 <= age < IDLE_SECONDS
        if has_grown or state.failure is not None:
            self._write(totals, WAIT_SECONDS)

    def write_last(self, *, is_last: bool) -> None:
        """Write all there is, within a moment; `is_last` when no worker is left that could count more."""
        self._write(self.tally.totals(), LAST_SECONDS, is_last=is_last)

    @property
    def state(self) -> KeeperState:
        """How the last write went, whichever worker made it."""
        _, content = self._instance.usage_state.read()
        return msgspec.json.decode(content, type=KeeperState) if content else KeeperState()

    def _write(self, totals: Totals, seconds: float, *, is_last: bool = False) -> None:
        database, before, now = self.database, self.state, time.time()
        if database is None:
            return

        def work(session: Session) -> None:
            if before.written_at is None:
                forget_old(session, now=now)
            write_totals(session, self.identity, totals, now=now, is_last=is_last)

        try:
            self._put(database, work, seconds)
        except AccountsUnavailable as error:
            self._note_failure(before, str(error))
        else:
            self._note_success(before, totals)

    def _put(self, database: Database, work: Callable[[Session], None], seconds: float) -> None:
        try:
            self._threads.do(lambda: database.write(work), seconds)
        except DamagedFile as damage:
            if damage.moved_to is not None:
                log.error("usage file is damaged and was moved aside", extra={"moved_to": damage.moved_to})
            self._threads.do(lambda: database.write(work), seconds)

    def _note_failure(self, before: KeeperState, reason: str) -> None:
        if before.failure is None:
            log.warning("usage is not written; it is kept in memory", extra={"reason": reason})
        since = before.failing_since or time.time()
        self._publish(KeeperState(before.written_at, before.requests, reason, since))

    def _note_success(self, before: KeeperState, totals: Totals) -> None:
        now = time.time()
        if before.failing_since is not None:
            log.warning("usage is written again", extra={"seconds": round(now - before.failing_since, 1)})
        self._publish(KeeperState(now, _requests(totals)))

    def _publish(self, state: KeeperState) -> None:
        with self._instance.lock():
            self._instance.usage_state.publish(msgspec.json.encode(state))


def _requests(totals: Totals) -> float:
    return sum(counts[REQUESTS] for counts in totals.usage.values())
