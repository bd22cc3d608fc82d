"""Reading the keys again and again: the background duty that one worker of the instance does for all."""

import logging
import random
import time

import gevent

from app.instance import Instance
from app.keys.errors import KeyStoreError
from app.keys.shared import STORE_SECONDS, SharedKeys

TICK_SECONDS = 0.25
CLAIM_SECONDS = STORE_SECONDS + 5.0  # afterwards another worker takes over: this one has died
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0  # after failures
FIRST_READ_SECONDS = 1.0
REMIND_SECONDS = 600.0  # of a failure that goes on
log = logging.getLogger("gateway.keys")


class KeyRefresh:
    """Reads the store at intervals of `seconds`, and sooner after a failure; the last good set stays."""

    def __init__(self, keys: SharedKeys, instance: Instance, seconds: float) -> None:
        self._keys = keys
        self._instance = instance
        self._seconds = seconds

    def run(self) -> None:
        """For ever; start it in a greenlet after the fork."""
        while True:
            if self._instance.claim("refresh_due", CLAIM_SECONDS):
                pause = self.refresh()
                self._instance.set("refresh_due", time.monotonic() + pause)
            gevent.sleep(TICK_SECONDS)

    def wait_for_first(self) -> None:
        """Let a worker of a new instance wait for the first reading, so that its first clients find keys."""
        until = time.monotonic() + FIRST_READ_SECONDS
        while not (self._keys.are_loaded or self._instance.get("refresh_failures")):
            if time.monotonic() > until:
                return
            gevent.sleep(0.005)

    def refresh(self) -> float:
        """Read once; returns after how many seconds to read again."""
        told = self._keys.report.failure
        try:
            result = self._keys.reload(routine=True)
        except KeyStoreError as error:
            self._report(str(error), told)
            failures = self._instance.get("refresh_failures")
            self._instance.set("refresh_failures", failures + 1)
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(failures, 10))
            return min(pause, self._seconds) * random.uniform(0.8, 1.0)
        self._instance.set("refresh_failures", 0)
        if result.reason:
            self._report(result.reason, told)
        elif result.is_news:
            log.info("keys refreshed", extra=result.log_fields())
        return self._seconds * random.uniform(0.8, 1.0)  # never later: revoking has a deadline

    def _report(self, reason: str, told: str | None) -> None:
        now = time.monotonic()
        if reason != told or now > self._instance.get("reminder_due"):
            self._instance.set("reminder_due", now + REMIND_SECONDS)
            age = self._keys.age
            extra = {"reason": reason, "keys_age_seconds": None if age is None else round(age)}
            log.warning("keys not refreshed", extra=extra)
