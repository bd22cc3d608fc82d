"""Whose the GPU's time was: each moment is shared alike by the requests that are at the upstream."""

import time

from app.instance import Instance
from app.logs import RequestRecord

COUNTED_AT, SHARE, BUSY = range(3)  # of the fields gpu_counted_at, gpu_share, gpu_busy


class GpuTime:
    """Follows the instance's time over all of its workers.

    One number in shared memory grows by 1/n for each second in which n requests are at the upstream; what it
    grows by during a request is that request's share. Two workers that write it within the same microseconds
    may count that one interval twice or not at all: no lock is worth it.
    """

    def __init__(self, instance: Instance) -> None:
        self.slot = 0
        self._instance = instance
        self._at_upstream = instance.at_upstream

    def enter(self) -> float:
        """One more request is at the upstream. Returns what `leave` needs."""
        share = self._advance()
        self._at_upstream[self.slot] += 1
        return share

    def leave(self, entered: float) -> float:
        """It is there no more. Returns its share of the time since, in seconds."""
        share = self._advance()
        self._at_upstream[self.slot] -= 1
        return max(0.0, share - entered)

    def busy_seconds(self) -> float:
        """In how many seconds so far there was any request at the upstream."""
        self._advance()
        return self._instance.raise_to("gpu_busy_told", self._instance.gpu[BUSY])

    def idle_seconds(self) -> float:
        """In how many seconds since the model was ready there was none."""
        busy, ready = self.busy_seconds(), self._instance.get("ready_since")
        idle = time.monotonic() - ready - busy if ready else 0.0
        return self._instance.raise_to("gpu_idle_told", idle)

    def _advance(self) -> float:
        instance, gpu, now = self._instance, self._instance.gpu, time.monotonic()
        passed = now - gpu[COUNTED_AT]
        gpu[COUNTED_AT] = now
        running = sum(self._at_upstream[: instance.slots_used])
        if not running:
            return gpu[SHARE]
        gpu[BUSY] += passed
        share = gpu[SHARE] + passed / running
        gpu[SHARE] = share
        return share


class Stint:
    """One request's time at the upstream; its share is in the record once it is closed."""

    __slots__ = ("_entered", "_gpu_time", "_record")

    def __init__(self, gpu_time: GpuTime, record: RequestRecord) -> None:
        self._gpu_time = gpu_time
        self._record = record
        self._entered: float | None = gpu_time.enter()

    def close(self) -> None:
        """The upstream has done with the request, or the request with the upstream."""
        if self._entered is not None:
            self._record.gpu_seconds = self._gpu_time.leave(self._entered)
            self._entered = None
