"""`python -m tests.measure [NAME…]`: run measurements, print one table; status 1 when a bar is missed."""

import argparse
import importlib
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.measure.figures import Row, table
from tests.measure.subjects import NAMES, is_installed

MEASUREMENTS = (
    "delay",
    "abort",
    "slow_readers",
    "slow_senders",
    "million",
    "reloads",
    "kill_worker",
    "vllm_death",
    "drain",
    "broken",
    "first_byte",
    "overload",
    "flood",
    "rotation",
    "secret_store",
    "look_up",
    "json_bombs",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; returns an exit code."""
    options = parse(arguments)
    modules = {name: importlib.import_module(f"tests.measure.{name}") for name in MEASUREMENTS}
    if options.list:
        for name, module in modules.items():
            sys.stdout.write(f"{name:13} {module.__doc__.splitlines()[0]} ({', '.join(module.SUBJECTS)})\n")
        return 0
    if not is_installed(options.subject):
        sys.exit(f"{options.subject} is not installed")
    raise_limit()
    rows: list[Row] = []
    for name in options.names or MEASUREMENTS:
        if options.subject in modules[name].SUBJECTS:
            rows += measure(name, modules[name], options)
    sys.stdout.write(f"\n{options.subject}\n" + table(rows))
    is_missed = any(row.is_met is False for row in rows)
    return int(is_missed and options.subject == "gateway")  # the bars are ours, not the others'


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure", description="Measure the promises.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure; without any, everything")
    parser.add_argument("--subject", choices=NAMES, default="gateway")
    parser.add_argument("--small", action="store_true", help="a reduced size, to try the measurements")
    parser.add_argument("--list", action="store_true", help="name the measurements")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


def measure(name: str, module: Any, options: argparse.Namespace) -> list[Row]:
    """One measurement in a folder of its own; a failure to measure is a bar that is missed."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="measure-") as folder:
            rows: list[Row] = module.run(options.subject, Path(folder), small=options.small)
    except (AssertionError, OSError) as error:
        rows = [Row(f"{name}: could not be measured", f"{type(error).__name__}: {error}"[:200], "", False)]
    sys.stdout.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    sys.stdout.flush()
    return rows


def raise_limit() -> None:
    """As many open files as the machine allows; what is started inherits that."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
