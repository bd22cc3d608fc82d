"""What this instance has counted since it began."""

import time

from app.accounts.book import InstanceTime, Totals
from app.gpu_time import GpuTime
from app.instance import Instance
from app.startup import Startup


class Tally:
    """The instance's counts and its time, as all of its workers share them."""

    def __init__(self, instance: Instance, gpu_time: GpuTime, startup: Startup) -> None:
        self._instance = instance
        self._gpu_time = gpu_time
        self._startup = startup

    def totals(self) -> Totals:
        """All of it, as it is now. Not for another thread: the rows' labels are read while they grow."""
        instance = self._instance
        ready_since = instance.get("ready_since")
        ready = time.monotonic() - ready_since if ready_since else 0.0
        startup = self._startup.elapsed - ready
        times = InstanceTime(max(0.0, startup), ready, self._gpu_time.busy_seconds())
        return Totals(instance.usage.sums(instance.slots_used), times)
