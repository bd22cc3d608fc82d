"""The local key file: made once, by the gateway's own command, with one key that may do everything."""

import os
import subprocess
from pathlib import Path

from launch import ROOT
from launch.progress import StepFailed

NAME = "local"


def create_key_file(path: Path, python: Path) -> str | None:
    """Let the gateway's `python` write a key file that only its owner can read.

    Returns its key, which the file holds as well, or None when there is a file already. Raises StepFailed.
    """
    if path.exists():
        return None
    scopes = ("--scope", "inference", "--scope", "admin")
    add = ("keys", "add", "--file", str(path), "--name", NAME, "--plain", *scopes)
    done = subprocess.run(
        [str(python), "-m", "flask", "--app", str(ROOT / "wsgi"), *add],
        env={"PATH": os.environ["PATH"]},  # none of the gateway's settings, which are checked later
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StepFailed(f"making {path} failed:\n{done.stderr}")
    return done.stdout.strip()
