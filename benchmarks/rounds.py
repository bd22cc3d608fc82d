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

from benchmarks import subjects
from benchmarks.accounting import ProcessLost, memory
from benchmarks.client import GivenUp
from benchmarks.results import Figures
from benchmarks.rig import SUBJECT_CPU, Upstream
from benchmarks.stand import Sample, Stand
from benchmarks.workloads import WORKLOADS, Workload

WARM_UP, WARM_UP_SECONDS = ("chat", "full-speed", "arrivals"), 0.5
SLOW_BOOT_SECONDS = 5.0  # whoever takes longer is started once


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
        """By workload."""
        return {**self._of, "boot": self._boot, "memory": self._memory}

    def run(self, names: Sequence[str], rounds: int, boots: int) -> None:
        """All rounds, and so many starts of each that starts fast; files are written after each round."""
        with ExitStack() as stack:
            upstream = stack.enter_context(Upstream())
            stands = [self._start(name, upstream, stack) for name in names]
            for stand in stands:
                warm_up(stand)
            for number in range(rounds):
                self._round(stands, number)
                self._write()
        quick = [stand.name for stand in stands if stand.subject.boot_seconds < SLOW_BOOT_SECONDS]
        self._boot_again(quick, boots - 1)
        self._write()

    def _start(self, name: str, upstream: Upstream, stack: ExitStack) -> Stand:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"bench-{name}-")))
        subject = stack.enter_context(subjects.start(name, folder, upstream.url, SUBJECT_CPU))
        stand = Stand(name, subject, upstream, self._seconds)
        sample = {"boot_s": subject.boot_seconds, **_memory(stand)}
        self._boot.add(name, sample, Counter())
        return stand

    def _round(self, stands: Sequence[Stand], number: int) -> None:
        for workload in self._workloads:
            able = [stand for stand in stands if stand.can_stream or not workload.is_streamed]
            began = time.monotonic()
            for stand in able:
                sample = measure(workload, stand)
                for name in filter(None, (workload.name, workload.also)):
                    self._of[name].add(stand.name, sample, stand.errors)
            seconds = time.monotonic() - began
            sys.stdout.write(f"round {number + 1}: {workload.name}: {seconds:.1f} s\n")
            sys.stdout.flush()
        for stand in stands:
            self._memory.add(stand.name, _memory(stand), Counter())

    def _boot_again(self, names: Sequence[str], times: int) -> None:
        for _ in range(times):
            with ExitStack() as stack:
                upstream = stack.enter_context(Upstream())
                for name in names:
                    self._start(name, upstream, stack)

    def _write(self) -> None:
        for figures in self.figures.values():
            figures.write(self._results)


def warm_up(stand: Stand) -> None:
    """Let it do a little of everything: code that ran never, and pools that are empty, are not measured."""
    seconds, stand.seconds = stand.seconds, WARM_UP_SECONDS
    for workload in WORKLOADS:
        if workload.name in WARM_UP and (stand.can_stream or not workload.is_streamed):
            measure(workload, stand)
    stand.seconds = seconds


def measure(workload: Workload, stand: Stand) -> Sample:
    """One run; what was wrong in it is left in the stand's errors, and a run that broke has no figures."""
    stand.errors = Counter()
    try:
        return workload.run(stand)
    except (GivenUp, ProcessLost, OSError) as error:
        stand.errors[f"given up: {error}"[:200]] += 1
        return {}


def _memory(stand: Stand) -> Sample:
    family = stand.subject.family()
    if not family:
        return {}
    held = memory(family)
    return {"pss_mb": held.total, "pss_worker_mb": held.worker}
