"""The machine that the figures come from."""

import os
import platform
import re
from functools import cache
from pathlib import Path


@cache
def machine() -> dict[str, str | int]:
    """Processor, cores, kernel and Python."""
    names = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count() or 1,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
