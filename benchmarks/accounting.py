"""What a family of processes uses, from the kernel: CPU time in nanoseconds, and memory by its share."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

CPUCLOCK_SCHED = 2  # include/linux/posix-timers.h: the scheduler's own sum over all threads, also ended ones


class ProcessLost(Exception):
    """A process ended while its time was counted: what it used is not known."""


def cpu_ns(pid: int) -> int:
    """CPU time of a process since its start, in ns, with threads that have ended; ProcessLost without it.

    clock_getcpuclockid(3) makes the same id: the pid's complement, shifted by three, and the clock's kind.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)
    except OSError as error:
        raise ProcessLost(f"process {pid} is gone") from error


@dataclass
class CpuMeter:
    """CPU time of a family between two moments; `find` tells who belongs to it, which takes milliseconds."""

    find: Callable[[], list[psutil.Process]]
    _before: dict[int, int] = field(default_factory=dict)

    def prepare(self) -> None:
        """Look who is there, ahead of the moment that counts."""
        self._before = {process.pid: 0 for process in self.find()}

    def start(self) -> None:
        """Count from now on."""
        self._before = {pid: cpu_ns(pid) for pid in self._before}

    def stop(self) -> int:
        """What was used since, in ns; processes that were born since then count wholly."""
        used = sum(cpu_ns(pid) - before for pid, before in self._before.items())
        born = {process.pid for process in self.find()} - set(self._before)
        return used + sum(map(cpu_ns, born))


@dataclass(frozen=True)
class Memory:
    """PSS in MB (10^6 bytes): of all processes, and of one that works, in the mean."""

    total: float
    worker: float


def memory(family: list[psutil.Process]) -> Memory:
    """What the family holds now; shared pages count by their share, so the parts may be added.

    Workers are those without children: a master that only watches them is none.
    """
    shares = {process: process.memory_full_info().pss / 1e6 for process in family}
    workers = [share for process, share in shares.items() if not process.children()]
    return Memory(sum(shares.values()), sum(workers) / len(workers))
