"""One line of log a request. Those about strangers have a budget; what is beyond it is counted and told.

A stranger is whoever was not found to have a valid key: also one who was refused before the key was
looked at. Lines of status 5xx have a budget of their own, so that a flood of bad requests cannot hide that
the gateway fails those who have a key.
"""

import logging
import time
from collections import Counter

from throttled import MemoryStore, Throttled, per_sec

from app.audit import audit_request
from app.cloud_log import CloudLog
from app.instance import INSTANCE, Instance
from app.logs import RequestRecord, clean
from app.routes import ASSETS, PAGE_DATA
from app.settings import Settings

LINES_PER_SECOND, LINES_AT_ONCE = 8, 2000  # of all strangers, in each worker, and as many of failures
TELL_SECONDS = 10.0
MAX_PEERS = 10_000  # that are counted one by one
REFUSED, FAILED = "refused", "failed"
POLLED = frozenset((PAGE_DATA, *ASSETS.values()))  # by an open status page, every few seconds
log = logging.getLogger("gateway.request")


class RequestLog:
    """Writes what a request was when it is over. Whoever is known to have a valid key always has a line."""

    def __init__(self, settings: Settings, instance: Instance = INSTANCE) -> None:
        self.slot = 0
        self._instance = instance
        self._cloud = CloudLog(settings)
        quota = per_sec(LINES_PER_SECOND, burst=LINES_AT_ONCE)
        self._budgets = Throttled(using="gcra", quota=quota, store=MemoryStore())
        self._told_at = -TELL_SECONDS
        self._forget()

    def write(self, record: RequestRecord) -> None:
        """Write the line; of probes and the status page's own polls that went well, only at debug level."""
        route = record.route or ""
        is_probe = route == "/health/startup" or (route.startswith("/health") and record.status < 500)
        is_routine = is_probe or route in POLLED
        level = logging.DEBUG if is_routine and record.outcome == "complete" else logging.INFO
        if not log.isEnabledFor(level):
            return
        if record.key_name is None and (record.throttled or self._is_too_many(record.status)):
            self._count(record)
        else:
            record.is_logged = True
            audit_request(record)
            log.log(level, "request", extra={**record.fields(), **self._cloud.fields(record.trace)})

    def _is_too_many(self, status: int) -> bool:
        return self._budgets.limit(FAILED if status >= 500 else REFUSED).limited

    def _count(self, record: RequestRecord) -> None:
        self._instance.unlogged[self.slot] += 1
        self._statuses[str(record.status)] += 1
        peer = record.throttled or clean(record.peer)
        if peer in self._peers or len(self._peers) < MAX_PEERS:
            self._peers[peer] += 1

    def tell(self, *, is_last: bool = False) -> None:
        """Say what was not written, at most every ten seconds; to be called now and then."""
        now = time.monotonic()
        if not self._statuses or (now - self._told_at < TELL_SECONDS and not is_last):
            return
        [(noisiest, _)] = self._peers.most_common(1)
        fields = {"count": self._statuses.total(), "statuses": dict(self._statuses), "noisiest": noisiest}
        log.warning("requests were not logged", extra=fields)
        self._told_at = now
        self._forget()

    def _forget(self) -> None:
        self._statuses: Counter[str] = Counter()
        self._peers: Counter[str | None] = Counter()
