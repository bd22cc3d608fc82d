"""One line of log a request. Those about strangers have a budget; what is beyond it is counted and told."""

import logging
import time
from collections import Counter

from throttled import MemoryStore, Throttled, per_sec

from app.logs import RequestRecord, clean

LINES_PER_SECOND, LINES_AT_ONCE = 8, 2000  # of all strangers, in each worker
TELL_SECONDS = 10.0
MAX_PEERS = 10_000  # that are counted one by one
STRANGERS = "strangers"
log = logging.getLogger("gateway.request")


class RequestLog:
    """Writes what a request was when it is over. Whoever has sent a valid key is always written of."""

    def __init__(self) -> None:
        quota = per_sec(LINES_PER_SECOND, burst=LINES_AT_ONCE)
        self._budget = Throttled(key=STRANGERS, using="gcra", quota=quota, store=MemoryStore())
        self._told_at = -TELL_SECONDS
        self._forget()

    def write(self, record: RequestRecord) -> None:
        """Write the line; of probes that went well, or came during the start, only at debug level."""
        route = record.route or ""
        is_probe = route == "/health/startup" or (route.startswith("/health") and record.status < 500)
        level = logging.DEBUG if is_probe and record.outcome == "complete" else logging.INFO
        if not log.isEnabledFor(level):
            return
        if record.key_name is None and (record.throttled or self._budget.limit().limited):
            self._count(record)
        else:
            log.log(level, "request", extra=record.fields())

    def _count(self, record: RequestRecord) -> None:
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
