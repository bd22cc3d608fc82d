"""What CI installs before it runs the tests: whatever a plain machine lacks."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.local import ROOT

PROGRAMS = (
    "make",
    "git",
    "curl",
    "npm",
    "setpriv",
    "faketime",
    "chromium",
    "chromedriver",
    "promtool",
    "pg_ctlcluster",
    "nginx",
)
PACKAGES = {
    "setpriv": "util-linux",
    "promtool": "prometheus",
    "pg_ctlcluster": "postgresql",
    "chromedriver": "chromium-driver",
}


def installed(folder: Path, programs: set[str], python: str) -> set[str]:
    """What it asks apt for on a machine that has these; `make` fails there, and ends it."""
    scripts = {
        **dict.fromkeys(programs, "exit 1"),
        "python3": python,
        "apt-get": f'echo "$@" >>{folder}/asked',
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    (folder / "dirname").symlink_to(shutil.which("dirname") or "")
    bash = shutil.which("bash") or ""
    subprocess.run([bash, ROOT / ".ci" / "run"], env={"PATH": str(folder)}, capture_output=True, timeout=30)
    asked = folder / "asked"
    words = asked.read_text().split() if asked.exists() else []
    return {word for word in words if word not in {"update", "install"} and not word.startswith("-")}


def test_where_nothing_is_missing_nothing_is_installed(tmp_path: Path) -> None:
    assert installed(tmp_path, set(PROGRAMS), "exit 0") == set()


@pytest.mark.parametrize("missing", PROGRAMS)
def test_a_program_that_is_missing_is_installed(tmp_path: Path, missing: str) -> None:
    assert installed(tmp_path, set(PROGRAMS) - {missing}, "exit 0") == {PACKAGES.get(missing, missing)}


def test_a_python_that_can_make_no_environment_gets_what_it_lacks(tmp_path: Path) -> None:
    assert installed(tmp_path, set(PROGRAMS), "exit 1") == {"python3-venv"}
