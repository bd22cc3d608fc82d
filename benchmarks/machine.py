"""Where the figures come from: the machine, and the versions of what was measured."""

import platform
import re
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path

PROGRAMS = {"nginx": ("nginx", "-v"), "haproxy": ("haproxy", "-v")}
PACKAGES = ("flask", "gunicorn", "gevent", "requests", "urllib3")
VERSION = re.compile(r"(\d+\.\d+[\w.]*)")


def machine() -> dict[str, str | int]:
    """Processor, cores, kernel and Python."""
    names = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(names) or 1,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of the programs that are installed, and of the gateway's own packages."""
    found = {name: metadata.version(name) for name in PACKAGES}
    for name, command in PROGRAMS.items():
        with suppress(OSError, subprocess.SubprocessError):
            shown = subprocess.run(command, capture_output=True, text=True, check=True)
            number = VERSION.search(shown.stdout + shown.stderr)
            found |= {name: number[1]} if number else {}
    return found
