"""What all workers of one instance share: words and longer contents in shared memory, and a lock.

The master maps it before it forks, so every worker, also one forked later, sees the same bytes.
"""

import fcntl
import heapq
import mmap
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from gevent import sleep

from app.counts import LATENCY_COLUMNS, USAGE_COLUMNS
from app.shared_blob import SharedBlob
from app.shared_table import SLOTS, SharedTable

PAGE_BYTES = 4096
BY_SLOT = 7  # numbers that each slot has
KEYS_BYTES = 32 * 1024 * 1024  # one serialised key set
KEY_REPORT_BYTES = 256 * 1024  # how the last reading went
USAGE_STATE_BYTES = 16 * 1024  # how the last writing of usage went
KEY_PLACES = 2 * 65_536  # twice the keys that a set may have: those of the set before keep their places
LOCK_RETRY_SECONDS = 0.005
MAX_SERIES = 500  # of (key name, model) that metrics show one by one


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
        "sample_due",
        "usage_due",
        "gpu_busy_told",
        "gpu_idle_told",
        "cpu_told",
    )

    def __init__(self) -> None:
        view = memoryview(mmap.mmap(-1, PAGE_BYTES + BY_SLOT * 8 * SLOTS))
        self._words = view[: 8 * len(self.FIELDS)].cast("d")
        cells = view[PAGE_BYTES : PAGE_BYTES + BY_SLOT * 8 * SLOTS].cast("Q")
        by_slot = [cells[SLOTS * number : SLOTS * (number + 1)] for number in range(BY_SLOT)]
        self.requests, self.body_bytes = by_slot[:2]  # see load.py
        self.at_upstream = by_slot[2]  # see gpu_time.py
        self.held, self.pids = by_slot[3:5]  # requests that wait for the model; the worker itself, or 0
        # Sums that outlive a worker: requests that the log leaves out, lines that nobody took.
        self.unlogged, self.lost_lines = by_slot[5:]
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
        # Whose numbers metrics show one by one, who came first: see metrics/by_key.py.
        self.series = SharedTable(
            "series", slots=1, rows=MAX_SERIES + 1, columns=1, width=2, text_bytes=1024 * 1024
        )
        self.usage_state = SharedBlob(USAGE_STATE_BYTES)
        self.identity = uuid.uuid4().hex  # by which a database knows this instance
        self._index = {name: position for position, name in enumerate(self.FIELDS)}
        self._top = self._index["slots_used"]
        first = self._index["gpu_counted_at"]
        self.gpu = self._words[first : first + 3]  # three fields that are needed twice a request
        self._lock_file = os.memfd_create("gateway-lock")
        self.series_lock_file = os.memfd_create("gateway-series-lock")
        self.set("started_at", time.monotonic())
        self.set("slots_used", 1.0)

    def get(self, field: str) -> float:
        """The field's value; 0.0 means "not yet" for every time."""
        return self._words[self._index[field]]

    def set(self, field: str, value: float) -> None:
        """Store the field for every worker."""
        self._words[self._index[field]] = value

    def raise_to(self, field: str, value: float) -> float:
        """The highest value that was ever given for this field: what is told as a sum must not go back."""
        highest = max(value, self.get(field))
        self.set(field, highest)
        return highest

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
        return int(self._words[self._top])

    def take_slot(self) -> int:
        """The lowest free slot, for a worker that is about to be forked; only the master calls this."""
        slot = heapq.heappop(self._free_slots)
        self.set("slots_used", max(slot + 1, self.slots_used))
        return slot

    def free_slot(self, slot: int) -> None:
        """The worker of this slot has ended, however; only the master calls this."""
        self.requests[slot] = self.body_bytes[slot] = self.at_upstream[slot] = 0
        self.held[slot] = self.pids[slot] = 0
        heapq.heappush(self._free_slots, slot)

    @contextmanager
    def lock(self, file: int | None = None) -> Iterator[None]:
        """Keep every other worker out, from the key set or from what another file stands for.

        Waiting lets the other greenlets of this worker run.

        A lock of the open file description would be shared by forked workers, so each entry
        opens the file anew; the kernel frees it when a worker dies.
        """
        descriptor = os.open(f"/proc/self/fd/{file or self._lock_file}", os.O_RDWR | os.O_CLOEXEC)
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
