"""What is measured, each started the same way and kept on one core."""

import math
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.gateway import Gateway
from tests.measure.subjects import GatewaySubject, Haproxy, Nginx

NAMES = ("direct", "nginx", "haproxy", "ours", "bare-flask")
PROGRAMS = {"nginx": ("nginx", "-v"), "haproxy": ("haproxy", "-v")}
PACKAGES = ("flask", "gunicorn", "gevent", "requests", "urllib3")
VERSION = re.compile(r"(\d+\.\d+[\w.]*)")
REFUSAL = dict.fromkeys(("nginx", "haproxy", "ours"), 401)  # the status that a wrong key gets
BARE_FLASK = ("-c", "benchmarks/bare_flask_conf.py", "benchmarks.bare_flask:app")


class Direct:
    """No proxy."""

    boot_seconds = math.nan

    def __init__(self, port: int) -> None:
        self.port = port

    def __enter__(self) -> "Direct":
        return self

    def __exit__(self, *_exc: object) -> None:
        return

    def family(self) -> list[psutil.Process]:
        """Nobody."""
        return []


class Timed:
    """Another's context manager, with the time that it took to enter."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.family = inner.family

    def __enter__(self) -> "Timed":
        began = time.monotonic()
        self._inner.__enter__()
        self.boot_seconds = time.monotonic() - began
        self.port: int = self._inner.port
        return self

    def __exit__(self, *_exc: object) -> None:
        self._inner.__exit__()


class BareFlask(Gateway):
    """A Flask view under the same worker class as ours has underneath."""

    family = GatewaySubject.family


def start(name: str, folder: Path, upstream_url: str, cpu: int) -> Any:
    """The subject of that name, to be entered."""
    port = urlsplit(upstream_url).port
    if name == "direct":
        return Direct(int(port or 0))
    pin = ("taskset", "-c", str(cpu))
    inner: Any
    if name in ("nginx", "haproxy"):
        kind = {"nginx": Nginx, "haproxy": Haproxy}[name]
        inner = kind(folder, SimpleNamespace(port=port, socket_path=""), 60, 7)  # type: ignore[arg-type]
        inner.command = (*pin, *kind.command)
        inner.template = kind.template.replace(
            "_max_body_size 20m;", "_max_body_size 20m; client_body_buffer_size 128k;"
        )
    elif name == "ours":
        inner = GatewaySubject(folder, upstream_url, WEB_CONCURRENCY=1)
        inner.command = (*pin, *GatewaySubject.command)
    else:
        inner = BareFlask(folder, upstream_url)
        inner.command = (*pin, sys.executable, "-m", "gunicorn", *BARE_FLASK)
    return Timed(inner)


def is_installed(name: str) -> bool:
    """Whether it can be started here."""
    return name not in ("nginx", "haproxy") or shutil.which(name) is not None


def versions() -> dict[str, str]:
    """Of the programs that are installed, and of the gateway's own packages."""
    found = {name: metadata.version(name) for name in PACKAGES}
    for name, command in PROGRAMS.items():
        with suppress(OSError, subprocess.SubprocessError):
            shown = subprocess.run(command, capture_output=True, text=True, check=True)
            number = VERSION.search(shown.stdout + shown.stderr)
            found |= {name: number[1]} if number else {}
    return found
