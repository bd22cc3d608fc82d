"""Say what goes on: one line for each step, its seconds, and how much disk it has taken so far."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from launch import ROOT

EVERY_SECONDS = {True: 1.0, False: 10.0}  # on a terminal the line is written over
TAIL_LINES = 15
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")  # else a pip goes on beside that of the next call


class StepFailed(Exception):
    """A step did not succeed; the text says what a person can do."""


def say(text: str) -> None:
    """One line."""
    sys.stdout.write(f"serve: {text}\n")
    sys.stdout.flush()


def run_step(label: str, command: Sequence[str | Path], folder: Path) -> None:
    """Run a long command in the project's folder, and show that it goes on; its output only if it fails.

    `folder` lies on the file system that it fills. Raises StepFailed.
    """
    on_terminal = sys.stdout.isatty()
    began, free_before = time.monotonic(), shutil.disk_usage(folder).free
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            [*DIES_WITH_US, *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
            process_group=0,
        )
        try:
            while not _has_ended(process, EVERY_SECONDS[on_terminal]):
                grown = max(0, free_before - shutil.disk_usage(folder).free) / 1e9
                _update(f"{label}: {time.monotonic() - began:.0f} s, {grown:.1f} GB", on_terminal)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode != 0:
            output.seek(0)
            tail = "".join(output.readlines()[-TAIL_LINES:])
            raise StepFailed(f"{label} failed:\n{tail}")
    _update(f"{label}: done in {time.monotonic() - began:.0f} s", on_terminal)
    if on_terminal:
        sys.stdout.write("\n")


def _has_ended(process: "subprocess.Popen[str]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _update(text: str, on_terminal: bool) -> None:
    if on_terminal:
        sys.stdout.write(f"\r\033[Kserve: {text}")
        sys.stdout.flush()
    else:
        say(text)
