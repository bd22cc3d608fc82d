"""Families about the instance's processes: the master and every worker that runs at this moment (proc(5))."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from app.instance import Instance
from app.metrics import PREFIX
from app.metrics.condition import gauge, gauges

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Read once, by the master: read anew, it would move with each step of the clock, and so would every start.
BOOTED = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
TRIES = 5


@dataclass(frozen=True, slots=True)
class Process:
    """One process at one moment. Seconds; bytes. `ended` is the CPU time of its children that have ended."""

    pid: int
    cpu: float
    ended: float
    started: float
    resident: int
    descriptors: int


def process_families(instance: Instance) -> Iterator[Metric]:
    """By process, and one sum for CPU time, which a worker that ends does not take with it."""
    found = read_processes(instance)
    cpu = sum(each.cpu for each in found.values())
    cpu += found["master"].ended if "master" in found else 0.0
    yield CounterMetricFamily(
        PREFIX + "process_cpu_seconds",
        "CPU time of all processes, those that have ended included",
        value=instance.raise_to("cpu_told", cpu),
    )
    yield gauge(
        "workers",
        "Workers that run, also those that a reload has replaced and that finish their streams",
        float(sum(name != "master" for name in found)),
    )
    label = "process"
    yield gauges(
        "process_resident_memory_bytes",
        "Resident memory; what the processes share counts for each",
        label,
        {name: float(each.resident) for name, each in found.items()},
    )
    yield gauges(
        "process_open_fds", "Open descriptors", label, {n: float(p.descriptors) for n, p in found.items()}
    )
    yield gauges(
        "process_start_time_seconds",
        "When it started, since the epoch",
        label,
        {name: each.started for name, each in found.items()},
    )


def read_processes(instance: Instance) -> dict[str, Process]:
    """The master and the workers by name. Read anew when one ended meanwhile: none is to count twice."""
    found = _read_all(instance)
    for _ in range(TRIES):
        later = _read_all(instance)
        if _pids(later) == _pids(found):
            break
        found = later
    return found


def _pids(found: dict[str, Process]) -> dict[str, int]:
    return {name: each.pid for name, each in found.items()}


def _read_all(instance: Instance) -> dict[str, Process]:
    pids = {f"worker-{slot}": pid for slot, pid in enumerate(instance.pids[: instance.slots_used]) if pid}
    master = int(instance.get("master_pid"))
    if master:
        pids["master"] = master
    found = {name: read_process(pid) for name, pid in (pids or {"worker-0": os.getpid()}).items()}
    return {name: each for name, each in found.items() if each is not None}


def read_process(pid: int) -> Process | None:
    """What the kernel says of a process; None when it is gone."""
    place = Path("/proc", str(pid))
    try:
        # Behind the name, which may hold anything.
        fields = (place / "stat").read_text().rpartition(")")[2].split()
        # The size of the folder is the number of descriptors on Linux 6.2 and newer; before, it is 0.
        descriptors = (place / "fd").stat().st_size or len(os.listdir(place / "fd"))
    except OSError:
        return None
    user, system, ended_user, ended_system = map(int, fields[11:15])
    return Process(
        pid=pid,
        cpu=(user + system) / TICKS,
        ended=(ended_user + ended_system) / TICKS,
        started=round(BOOTED + int(fields[19]) / TICKS, 2),
        resident=int(fields[21]) * PAGE,
        descriptors=descriptors,
    )
