"""shellcheck, of the tools of development, on shell that stands in other files."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("shellcheck")


def complaints(script: str, *options: str) -> str:
    """What it has against a script for bash; empty when that is nothing."""
    command = [PROGRAM, "--shell=bash", "--severity=style", *options, "-"]
    looked = subprocess.run(command, input=script, capture_output=True, text=True)
    assert (looked.returncode == 0) is (looked.stdout == ""), looked.stderr
    return looked.stdout
