"""What measures: the upstream's process, and readings of one subject under load."""

import http.client
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.accounting import CpuMeter, cpu_ns
from benchmarks.client import Crowd, GivenUp, Tally
from tests.local import ROOT

CORES = sorted(os.sched_getaffinity(0))
RIG_CPU, SUBJECT_CPU = CORES[0], CORES[-1]


class Upstream:
    """The scripted upstream in a process of its own."""

    def __enter__(self) -> "Upstream":
        command = [sys.executable, "-m", "benchmarks.upstream", "--cpu", str(RIG_CPU)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def ask(self, target: str) -> Any:
        """What it tells about itself, asked past every subject."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", target)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@dataclass(frozen=True)
class Reading:
    """CPU times in ns and what the load generator counted between two moments."""

    seconds: float
    cpu: int
    upstream_cpu: int
    client_cpu: int
    tally: Tally

    def per_unit(self, units: int) -> dict[str, float]:
        """CPU time in µs for one unit of work, and units a second; GivenUp where there was none."""
        if not units:
            raise GivenUp("nothing came")
        return {
            "cpu_us": self.cpu / 1000 / units or math.nan,  # no processes, no time
            "upstream_cpu_us": self.upstream_cpu / 1000 / units,
            "client_cpu_us": self.client_cpu / 1000 / units,
            "rate": units / self.seconds,
        }


class Window:
    """A span of time in which everything is counted; `prepare` it before the load begins."""

    def __init__(self, meter: CpuMeter, upstream: Upstream) -> None:
        self._meter = meter
        self._upstream = upstream
        meter.prepare()

    def start(self, crowd: Crowd) -> None:
        """Count from now on."""
        self._crowd = crowd
        crowd.tally = Tally()
        self._meter.start()
        self._upstream_before = cpu_ns(self._upstream.process.pid)
        self._client_before = time.process_time_ns()
        self._began = time.monotonic()

    def stop(self) -> Reading:
        """What there was since."""
        seconds = time.monotonic() - self._began
        client = time.process_time_ns() - self._client_before
        upstream = cpu_ns(self._upstream.process.pid) - self._upstream_before
        tally, self._crowd.tally = self._crowd.tally, Tally()
        return Reading(seconds, self._meter.stop(), upstream, client, tally)


def stay_on_rig_core() -> None:
    """This process drives the load: it shares a core with the upstream, never with a subject."""
    os.sched_setaffinity(0, {RIG_CPU})
