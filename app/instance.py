"""What all workers of one instance share: words and longer contents in shared memory, and a lock.

The master maps it before it forks, so every worker, also one forked later, sees the same bytes.
"""

import fcntl
import heapq
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gevent import sleep

from app.counts import LATENCY_COLUMNS, USAGE_COLUMNS
from app.shared_blob import SharedBlob
from app.shared_table import SharedTable

PAGE_BYTES = 4096
SLOTS = 1024  # of workers: twice the most that may be configured, since a reload runs old and new ones
LOAD_BYTES = 3 * 8 * SLOTS
KEYS_BYTES = 32 * 1024 * 1024  # one serialised key set
KEY_REPORT_BYTES = 256 * 1024  # how the last reading went
KEY_PLACES = 2 * 65_536  # twice the keys that a set may have: those of the set before keep their places
LOCK_RETRY_SECONDS = 0.005


class Instance:
    """Named words in shared memory. Times are CLOCK_MONOTONIC seconds, the same in every process.

    Each word is one aligned 8-byte store, which is atomic on every platform that vLLM runs on.
    """

    FIELDS = (
        "started_at",
        "import_since",
        "weights_since",
        "loading_since",
        "warm_up_since",
        "ready_since",
        "draining_since",
        "upstream_checked_at",
        "upstream_is_up",
        "probe_due",
        "refresh_due",
        "refresh_failures",
        "reminder_due",
        "warm_up_due",
        "slots_used",
        "master_pid",
        "alive_at",
        "probe_misses",
        "byte_at",
        "suspected_since",
        "stuck_since",
        "verify_due",
        "gpu_counted_at",
        "gpu_share",
        "gpu_busy",
    )

    def __init__(self) -> None:
        view = memoryview(mmap.mmap(-1, PAGE_BYTES + LOAD_BYTES))
        self._words = view[: 8 * len(self.FIELDS)].cast("d")
        load = view[PAGE_BYTES : PAGE_BYTES + LOAD_BYTES].cast("Q")
        self.requests, self.body_bytes = load[:SLOTS], load[SLOTS : 2 * SLOTS]  # by slot: see load.py
        self.at_upstream = load[2 * SLOTS :]  # by slot: see gpu_time.py
        self._free_slots = list(range(SLOTS))  # a heap; the master's
        self.key_set = SharedBlob(KEYS_BYTES)
        self.key_report = SharedBlob(KEY_REPORT_BYTES)
        # By the place of a key: when it was last used, in seconds since the epoch; 0.0 for never.
        self.key_used = memoryview(mmap.mmap(-1, 8 * KEY_PLACES)).cast("d")
        # What ledger.py counts: by (route, status, outcome), (route, kind of answer) and (key name, model).
        self.answers = SharedTable("answers", rows=1024, columns=1, width=3, text_bytes=96 * 1024)
        self.latencies = SharedTable(
            "latencies", rows=64, columns=LATENCY_COLUMNS, width=2, text_bytes=8 * 1024
        )
        self.usage = SharedTable(
            "usage", rows=8192, columns=len(USAGE_COLUMNS), width=2, text_bytes=1024 * 1024
        )
        self._index = {name: position for position, name in enumerate(self.FIELDS)}
        self._lock_file = os.memfd_create("gateway-lock")
        self.set("started_at", time.monotonic())

    def get(self, field: str) -> float:
        """The field's value; 0.0 means "not yet" for every time."""
        return self._words[self._index[field]]

    def set(self, field: str, value: float) -> None:
        """Store the field for every worker."""
        self._words[self._index[field]] = value

    @property
    def is_ready(self) -> bool:
        """Whether the model has been ready once since this instance started."""
        return self.get("ready_since") > 0

    @property
    def is_draining(self) -> bool:
        """Whether the master was told to stop."""
        return self.get("draining_since") > 0

    def begin_drain(self) -> None:
        """Tell every worker that this instance goes down; the first call counts."""
        if not self.is_draining:
            self.set("draining_since", time.monotonic())

    @property
    def slots_used(self) -> int:
        """No slot from this one on was ever taken."""
        return int(self.get("slots_used")) or 1

    def take_slot(self) -> int:
        """The lowest free slot, for a worker that is about to be forked; only the master calls this."""
        slot = heapq.heappop(self._free_slots)
        self.set("slots_used", max(slot + 1, self.slots_used))
        return slot

    def free_slot(self, slot: int) -> None:
        """The worker of this slot has ended, however; only the master calls this."""
        self.requests[slot] = self.body_bytes[slot] = self.at_upstream[slot] = 0
        heapq.heappush(self._free_slots, slot)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other worker out; waiting lets the other greenlets of this worker run.

        A lock of the open file description would be shared by forked workers, so each entry
        opens the file anew; the kernel frees it when a worker dies.
        """
        descriptor = os.open(f"/proc/self/fd/{self._lock_file}", os.O_RDWR | os.O_CLOEXEC)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    sleep(LOCK_RETRY_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def claim(self, due_field: str, seconds: float) -> bool:
        """Whether this worker is the one to do a periodic duty now; the next turn is set at once."""
        now = time.monotonic()
        if now < self.get(due_field):
            return False
        self.set(due_field, now + seconds)
        return True


INSTANCE = Instance()
