"""buildah with a store of its own, so that nothing of this lies where the machine keeps its images."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from launch.progress import DIES_WITH_US
from tests.local import ROOT

FOLDER = ROOT / "build" / "image"
PACKAGES = {
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "crun": "crun",
    "ip": "iproute2",
    "unshare": "util-linux",
}
STORE = ("--root", str(FOLDER / "store"), "--runroot", str(FOLDER / "run"), "--storage-driver", "overlay")


class Unfit(Exception):
    """It cannot be done here; the text says why, in one sentence."""


def check_machine() -> None:
    """Whether this user and this machine can build and run images."""
    if os.geteuid() != 0:
        raise Unfit("it makes namespaces and file systems, so it needs root.")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    os.environ["PATH"] = path
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if missing:
        raise Unfit(f"missing; as root: apt-get install --no-install-recommends {' '.join(missing)}")


def say(text: str) -> None:
    """One line of progress."""
    sys.stdout.write(f"image-test: {text}\n")
    sys.stdout.flush()


def run(label: str, command: Sequence[str | Path], log: str, **environ: str) -> None:
    """A long step: its output goes to a file of this name, whose end is shown if it fails."""
    began = time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / log).open("w") as file:
        status = subprocess.run(
            [*DIES_WITH_US, *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **environ},
        ).returncode
    if status != 0:
        tail = "\n".join((FOLDER / log).read_text(errors="replace").splitlines()[-25:])
        raise Unfit(f"{label} failed, see {FOLDER / log}:\n{tail}")
    say(f"{label}: {time.monotonic() - began:.0f} s")


def buildah(*arguments: str | Path) -> list[str]:
    """The command line of buildah on our store."""
    return ["buildah", *STORE, *map(str, arguments)]


def ask_buildah(*arguments: str | Path) -> str:
    """What a short call of it says."""
    done = subprocess.run(buildah(*arguments), capture_output=True, text=True)
    if done.returncode != 0:
        raise Unfit(f"buildah {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def has_image(name: str) -> bool:
    """Whether the store has an image of this name."""
    return subprocess.run(buildah("inspect", "--type", "image", name), capture_output=True).returncode == 0
