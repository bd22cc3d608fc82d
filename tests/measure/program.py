"""A server that stands in the gateway's place, started and ended the same way whatever it is."""

import http.client
import os
import resource
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.gateway import wait_until
from tests.local import free_port

SYSTEM_PROGRAMS = "/usr/sbin"  # where Debian has nginx and HAProxy; not in every user's PATH
OPEN_FILES = 8192  # each stream takes two, and Python's servers do not raise the usual limit of 1,024
LOG_TAIL_BYTES = 4000


class StartFailed(Exception):
    """It ended, or did not answer in time; the text is the end of its log."""


class Program:
    """A server on a free port of this machine, on one core if `cpu` names one, with a log in its folder.

    It gets PATH, a HOME of its own, what `environ` says, and no other variable: neither a proxy's address nor
    a switch of Python's may make one of them slower.
    """

    health = "/health/live"  # the first 200 there ends the boot
    ready = ""  # where it tells that it takes requests, if that comes later
    start_seconds = 5.0
    port: int
    boot_seconds: float  # from exec to that 200
    process: "subprocess.Popen[bytes]"

    def __init__(self, folder: Path, upstream_url: str, cpu: int | None = None) -> None:
        self.folder = folder
        self.upstream_url = upstream_url
        self.cwd = folder
        self._pin = pin(cpu)

    def command(self) -> Sequence[str]:
        """What starts it at `port`; may write configuration into `folder`."""
        raise NotImplementedError

    def environ(self) -> dict[str, str]:
        """Its own variables."""
        return {}

    def __enter__(self) -> "Program":
        for _ in range(3):  # somebody else may have been faster to take the port
            self.port = free_port()
            try:
                if self._start():
                    return self
            except BaseException:
                self.__exit__()
                raise
            self.__exit__()
        raise StartFailed(self._log.read_text(errors="replace")[-LOG_TAIL_BYTES:])

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _start(self) -> bool:
        system = {"PATH": f"{os.environ['PATH']}:{SYSTEM_PROGRAMS}", "HOME": str(self.folder)}
        command = [*self._pin, *self.command()]
        with self._log.open("ab") as log:
            began = time.monotonic()
            self.process = subprocess.Popen(
                command,
                cwd=self.cwd,
                env={**system, **self.environ()},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while not self._answers(self.health):
            if self.process.poll() is not None or time.monotonic() - began > self.start_seconds:
                return False
            time.sleep(0.002)
        self.boot_seconds = time.monotonic() - began
        if self.ready:
            wait_until(lambda: self._answers(self.ready), self.start_seconds)
        return self.process.poll() is None  # else it was another who answered at that port

    def _answers(self, route: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.start_seconds)
        try:
            connection.request("GET", route)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def __exit__(self, *_exc: object) -> None:
        family = self.family() if self.process.poll() is None else []
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # also those whose master has died
        self.process.wait()
        psutil.wait_procs(family)

    def family(self) -> list[psutil.Process]:
        """Its processes."""
        return family_of(self.process.pid)


def family_of(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    master = psutil.Process(pid)
    return [master, *master.children(recursive=True)]


def pin(cpu: int | None) -> tuple[str, ...]:
    """What starts a command on that core, with as many file descriptors as hundreds of streams need."""
    if cpu is None:
        return ()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    return ("prlimit", f"--nofile={files}:", "taskset", "-c", str(cpu))
