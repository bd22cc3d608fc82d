"""`python -m benchmarks`: run the workloads on the subjects, and write what came of it.

With `--quick`, a few of each in less than a minute, and status 1 when a ratio has become worse.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.figures import summary
from benchmarks.guard import judge
from benchmarks.measured import FOLDER
from benchmarks.results import Figures
from benchmarks.rig import stay_on_rig_core
from benchmarks.rounds import Rounds
from benchmarks.subjects import NAMES, is_installed
from benchmarks.workloads import WORKLOADS
from tests.local import ROOT
from tests.measure.__main__ import raise_limit
from tests.measure.figures import table

PART_RESULTS = ROOT / "build" / "bench"  # what is not the whole is not published
QUICK_RESULTS = ROOT / "build" / "bench-quick"
QUICK_WORKLOADS = ("chat", "full-speed", "paced-32")
QUICK_SUBJECTS = ("nginx", "vllm-router", "bare-flask", "ours")
CORES = 2
SECONDS, QUICK_SECONDS = 1.2, 0.6
ROUNDS, QUICK_ROUNDS = 3, 3
QUICK_REPEATS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; returns an exit code."""
    options = parse(arguments)
    if len(os.sched_getaffinity(0)) < CORES:
        sys.stderr.write("benchmarks: needs two cores, one for the rig and one for what is measured\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or what was started would stay
    raise_limit()
    stay_on_rig_core()
    names = [name for name in options.subjects if is_installed(name)]
    missing = set(options.subjects) - set(names)
    if missing:
        sys.stdout.write(f"not installed: {', '.join(sorted(missing))}; `make bench-setup` says how\n")
    most = QUICK_REPEATS if options.quick else sys.maxsize
    chosen = [
        replace(each, repeats=min(each.repeats, most)) for each in WORKLOADS if each.name in options.only
    ]
    rounds = Rounds(chosen, options.seconds, options.results)
    rounds.run(names, options.rounds, starts=0 if options.quick else options.rounds)
    for figures in rounds.figures.values():
        sys.stdout.write(_lines(figures))
    if not options.quick:
        return 0
    rows = judge(rounds.figures)
    sys.stdout.write("\n" + table(rows))
    return int(any(row.is_met is False for row in rows))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; what `--quick` changes are defaults."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than a minute, and judged by the guard")
    parser.add_argument("--only", nargs="+", metavar="WORKLOAD", choices=[each.name for each in WORKLOADS])
    parser.add_argument("--subjects", nargs="+", metavar="NAME", choices=NAMES)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of one workload on one subject in one round")
    parser.add_argument("--results", type=Path, help="the folder for the files")
    options = parser.parse_args(arguments)
    is_part = any((options.only, options.subjects, options.rounds, options.seconds))
    results = PART_RESULTS if is_part else FOLDER
    full = ([each.name for each in WORKLOADS], NAMES, ROUNDS, SECONDS, results)
    quick_subjects = [name for name in NAMES if name in QUICK_SUBJECTS]
    quick = (QUICK_WORKLOADS, quick_subjects, QUICK_ROUNDS, QUICK_SECONDS, QUICK_RESULTS)
    for name, value in zip(
        ("only", "subjects", "rounds", "seconds", "results"), quick if options.quick else full, strict=True
    ):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _lines(figures: Figures) -> str:
    """The medians of one workload with their least and most, a line for each subject."""
    lines = [f"\n{figures.name}, by {figures.unit}\n"]
    for subject, metrics in figures.content()["subjects"].items():
        parts = []
        for metric, values in metrics.items():
            found = summary(values)
            if found is not None:
                parts.append(f"{metric} {found.median:.4g} ({found.low:.4g}-{found.high:.4g})")
        lines.append(f"  {subject:14} {', '.join(parts)}\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
