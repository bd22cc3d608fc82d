"""What all workers of one instance share: one page of memory, and the key set beside it.

The master maps it before it forks, so every worker, also one forked later, sees the same bytes.
"""

import fcntl
import heapq
import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gevent import sleep

PAGE_BYTES = 4096
SLOTS = 1024  # of workers: twice the most that may be configured, since a reload runs old and new ones
LOAD_BYTES = 2 * 8 * SLOTS
KEYS_START = PAGE_BYTES + LOAD_BYTES
KEYS_BYTES = 16 * 1024 * 1024  # one serialised key set; memory that is never written costs nothing
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
        "warm_up_due",
        "slots_used",
        "master_pid",
        "alive_at",
        "probe_misses",
        "byte_at",
        "suspected_since",
        "stuck_since",
        "verify_due",
    )

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, KEYS_START + 2 * KEYS_BYTES)
        view = memoryview(self._memory)
        self._words = view[: 8 * len(self.FIELDS)].cast("d")
        self._generation = view[2048:2056].cast("Q")
        load = view[PAGE_BYTES : PAGE_BYTES + LOAD_BYTES].cast("Q")
        self.requests, self.body_bytes = load[:SLOTS], load[SLOTS:]  # by slot: see load.py
        self._free_slots = list(range(SLOTS))  # a heap; the master's
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
        self.requests[slot] = self.body_bytes[slot] = 0
        heapq.heappush(self._free_slots, slot)

    @property
    def key_generation(self) -> int:
        """How often a key set was published; 0 while there is none."""
        return self._generation[0]

    def publish_keys(self, snapshot: bytes) -> None:
        """Make a serialised key set current for every worker.

        Call it inside `lock`. Two slots take turns, so that a reader of the current set is never
        disturbed by the next one.
        """
        if len(snapshot) > KEYS_BYTES - 8:
            raise ValueError("the key set is too large")
        generation = self._generation[0] + 1
        start = KEYS_START + (generation & 1) * KEYS_BYTES
        self._memory[start : start + 8] = struct.pack("Q", len(snapshot))
        self._memory[start + 8 : start + 8 + len(snapshot)] = snapshot
        self._generation[0] = generation

    def read_keys(self) -> tuple[int, bytes]:
        """The current generation and its serialised set."""
        while True:
            generation = self._generation[0]
            start = KEYS_START + (generation & 1) * KEYS_BYTES
            (length,) = struct.unpack("Q", self._memory[start : start + 8])
            snapshot = self._memory[start + 8 : start + 8 + min(length, KEYS_BYTES)]
            if self._generation[0] == generation:
                return generation, snapshot

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
