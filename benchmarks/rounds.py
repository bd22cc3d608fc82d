"""Rounds: every subject is up, and each workload goes from one to the next, again and again.

What the machine does meanwhile then meets all of them, and the spread over the rounds tells of it.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks import subjects
from benchmarks.accounting import ProcessLost, memory
from benchmarks.client import GivenUp
from benchmarks.names import DIRECT
from benchmarks.results import Figures
from benchmarks.rig import SUBJECT_CPU, Upstream
from benchmarks.stand import Sample, Stand
from benchmarks.workloads import WORKLOADS, Workload

WARM_UP, WARM_UP_SECONDS = ("chat", "full-speed", "arrivals"), 0.5
LOAD, LOAD_SECONDS = ("chat", "full-speed", "growth-512", "long-prompt"), 0.3  # before memory is read again
SLOW_BOOT_SECONDS = 5.0  # who takes longer is started once


class Rounds:
    """One run of some workloads on some subjects; `figures` has what came of it."""

    def __init__(self, workloads: Sequence[Workload], seconds: float, results: Path) -> None:
        self._workloads = workloads
        self._seconds = seconds
        self._results = results
        self._boot = Figures("boot", "start", "From the start to the first 200, and memory without load")
        self._memory = Figures("memory", "process", "Memory after the load")
        self._of = {each.name: Figures(each.name, each.unit, each.title) for each in workloads}
        also = {each.also: Figures(each.also, each.unit, each.title) for each in workloads if each.also}
        self._of |= also

    @property
    def figures(self) -> dict[str, Figures]:
        """By workload; those that have any."""
        own = {"boot": self._boot, "memory": self._memory}
        return {name: each for name, each in {**self._of, **own}.items() if each.samples}

    def run(self, names: Sequence[str], rounds: int, starts: int) -> None:
        """All rounds with everyone up, then so many starts of each alone; files are written in between."""
        with ExitStack() as stack:
            upstream = stack.enter_context(Upstream())
            stands = [self._start(name, upstream, stack) for name in names]
            for stand in stands:
                load(stand, WARM_UP, WARM_UP_SECONDS)
            for number in range(rounds):
                self._round(stands, number)
                self._write()
        for number in range(starts):
            for stand in stands:
                if number == 0 or stand.subject.boot_seconds < SLOW_BOOT_SECONDS:
                    self._start_alone(stand.name)
        self._write()

    def _start(self, name: str, upstream: Upstream, stack: ExitStack) -> Stand:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"bench-{name}-")))
        subject = stack.enter_context(subjects.start(name, folder, upstream.url, SUBJECT_CPU))
        return Stand(name, subject, upstream, self._seconds)

    def _start_alone(self, name: str) -> None:
        """Its boot and its memory: among others it would share pages with them, and look smaller."""
        if name == DIRECT:
            return
        with ExitStack() as stack:
            stand = self._start(name, stack.enter_context(Upstream()), stack)
            self._boot.add(name, {"boot_s": stand.subject.boot_seconds, **_memory(stand)}, Counter())
            load(stand, LOAD, LOAD_SECONDS)
            self._memory.add(name, _memory(stand), Counter())

    def _round(self, stands: Sequence[Stand], number: int) -> None:
        for workload in self._workloads:
            able = [stand for stand in stands if stand.can_stream or not workload.is_streamed]
            began = time.monotonic()
            for repeat in range(workload.repeats):
                first = (number * workload.repeats + repeat) % len(able)  # nobody always follows the same one
                for stand in able[first:] + able[:first]:
                    self._measure(workload, stand)
            seconds = time.monotonic() - began
            sys.stdout.write(f"round {number + 1}: {workload.name}: {seconds:.1f} s\n")
            sys.stdout.flush()

    def _measure(self, workload: Workload, stand: Stand) -> None:
        """One sample; of who failed before, an empty one: it will not get better, and only takes time."""
        has_failed = bool(self._of[workload.name].faults.get(stand.name))
        stand.errors = Counter()
        sample = {} if has_failed else measure(workload, stand)
        for name in filter(None, (workload.name, workload.also)):
            self._of[name].add(stand.name, sample, stand.errors)

    def _write(self) -> None:
        for figures in self.figures.values():
            figures.write(self._results)


def load(stand: Stand, names: Sequence[str], seconds: float) -> None:
    """Have it do a little of these workloads: what code that never ran costs is not measured."""
    stand.seconds, before = seconds, stand.seconds
    for workload in WORKLOADS:
        if workload.name in names and (stand.can_stream or not workload.is_streamed):
            measure(workload, stand)
    stand.seconds = before


def measure(workload: Workload, stand: Stand) -> Sample:
    """One run; what was wrong in it is left in the stand's errors, and a run that broke has no figures."""
    stand.errors = Counter()
    try:
        return workload.run(stand)
    except (GivenUp, ProcessLost, OSError, ValueError, psutil.Error) as error:
        stand.errors[f"given up: {error}"[:200]] += 1
        stand.upstream.ask("/__finish")  # streams that nobody reads would keep the rig busy
        return {}


def _memory(stand: Stand) -> Sample:
    held = memory(stand.subject.family())
    return {"pss_mb": held.total, "pss_worker_mb": held.worker}
