"""The real vLLM on the CPU, asked by vLLM's own benchmark client: directly, and through the gateway.

python -m benchmarks.real_vllm [--rounds N]

Both are started as `make serve` starts them, with one worker, and with vLLM on a TCP port, where the client
can ask it too. vLLM, the gateway and the client share the cores of this machine, so what the gateway takes is
taken from the model. That is the worst case: beside a GPU it would not be.

Each run has prompts of its own, and no prompt fills a block of vLLM's cache (128 tokens), so nothing comes
from that cache: neither directly nor through the gateway, which keeps the cached prompts of each key apart.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.accounting import CpuMeter
from benchmarks.bench_client import REPORTED, BenchClient, Load
from benchmarks.figures import ratios, summary
from benchmarks.machine import machine
from benchmarks.measured import FOLDER
from benchmarks.names import DIRECT, OURS, REAL_VLLM
from tests.e2e.served import Served
from tests.local import free_port

RESULT = FOLDER / f"{REAL_VLLM}.json"
SUBJECTS = (DIRECT, OURS)
ROUNDS = 5
STOP_SECONDS = 40.0
FULL = Load()

Figures = dict[str, float | None]


class Bench:
    """A vLLM that runs, the gateway in front of it, and the client that asks either."""

    def __init__(self, served: Served, client: BenchClient) -> None:
        self._served, self._client = served, client
        self._urls = {DIRECT: served.environ["VLLM_BASE_URL"], OURS: served.url}
        self._seeds = itertools.count(1)
        self._meter = CpuMeter(self._gateway)

    def _gateway(self) -> list[psutil.Process]:
        found = []
        for process in self._served.family():
            with suppress(psutil.NoSuchProcess):  # vLLM runs short programs
                if "gunicorn" in process.cmdline():
                    found.append(process)
        return found

    def measure(self, subject: str, load: Load) -> Figures:
        """One run. `cpu_us` is the gateway's CPU time for each token, its own housekeeping included."""
        self._meter.prepare()
        self._meter.start()
        report = self._client.run(load.arguments(self._urls[subject], next(self._seeds)))
        used = self._meter.stop()
        cost = used / 1000 / report["total_output_tokens"] if subject == OURS else None
        return {**load.figures(report), "cpu_us": cost}


@contextmanager
def started(folder: Path) -> Iterator[Served]:
    """vLLM and the gateway, ready; they end as they are told to."""
    settings = {"VLLM_BASE_URL": f"http://127.0.0.1:{free_port()}", "WEB_CONCURRENCY": "1"}
    with Served(folder, **settings, VLLM_EXTRA_ARGS="") as served:
        yield served
        served.process.terminate()
        with suppress(subprocess.TimeoutExpired):  # what was measured is measured
            served.process.wait(STOP_SECONDS)


def run(folder: Path, rounds: int, load: Load = FULL) -> dict[str, Any]:
    """The whole workload, in two to three minutes: what the result file has. `folder` takes keys and logs."""
    with started(folder) as served, BenchClient(served.key, folder / "client.log") as client:
        bench = Bench(served, client)
        for subject in SUBJECTS:
            bench.measure(subject, Load(requests=load.at_once, at_once=load.at_once))
        measured = [{name: bench.measure(name, load) for name in order(number)} for number in range(rounds)]
        version = client.version
    return {
        "workload": REAL_VLLM,
        "unit": "token",
        "title": f"The real vLLM on the CPU, {load.at_once} chats at once",
        "rounds": rounds,
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"vllm": version},
        "load": asdict(load),
        "subjects": {name: columns([each[name] for each in measured]) for name in SUBJECTS},
    }


def order(number: int) -> tuple[str, ...]:
    """Who goes first changes with each round: the machine may be slower the longer it is busy."""
    return SUBJECTS[:: -1 if number % 2 else 1]


def columns(rounds: Sequence[Figures]) -> dict[str, list[float | None]]:
    """Each metric with one value a round."""
    return {metric: [figures[metric] for figures in rounds] for metric in (*REPORTED, "cpu_us")}


def told(result: dict[str, Any]) -> str:
    """The medians, and how much of the throughput is left."""
    direct, ours = (result["subjects"][name] for name in SUBJECTS)
    lines = [
        f"{metric}: direct {summary(direct[metric])}, ours {summary(ours[metric])}" for metric in REPORTED
    ]
    lines.append(f"throughput, ours / direct: {summary(ratios(ours['rate'], direct['rate']))}")
    lines.append(f"CPU per token, ours: {summary(ours['cpu_us'])} us")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the result file, and tell what is in it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_vllm", description="The real vLLM.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), options.rounds)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(told(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
