"""Start entrypoint.sh with a stand-in for vLLM's program, and see what lives and dies."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.fake_server import write_python
from tests.gateway import Gateway, wait_until
from tests.local import ROOT


class Entrypoint(Gateway):
    """Both programs under entrypoint.sh; its own port is the gateway's."""

    # A background job's programs ignore SIGINT, and a shell cannot undo that.
    command = ("env", "--default-signal=INT", str(ROOT / "entrypoint.sh"))

    def __init__(self, folder: Path, **settings: Any) -> None:
        scratch = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))  # short: a socket's path has 107 bytes
        defaults = {
            "TMPDIR": scratch,
            "GATEWAY_PYTHON": sys.executable,
            "VLLM_PYTHON": write_python(folder),
            "MODEL_NAME": "fake/model-1",
            "STARTUP_HOLD_SECONDS": 0,
        }
        super().__init__(folder, "", **{**defaults, **settings})
        self.cwd = folder
        self.scratch = scratch
        self._seen: set[psutil.Process] = set()

    def __exit__(self, *exc: object) -> None:
        """Nothing of it is left, however it ended."""
        if hasattr(self, "process"):
            super().__exit__(*exc)
        for survivor in self.survivors():
            survivor.kill()
        shutil.rmtree(self.scratch, ignore_errors=True)

    @contextmanager
    def prepared(self) -> Iterator["Entrypoint"]:
        """Not started yet; what a test starts of it ends with the test."""
        try:
            yield self
        finally:
            self.__exit__()

    def wait_ready(self) -> None:
        """Until the model has answered."""
        super().wait_ready()
        self.remember_family()

    @property
    def vllm(self) -> psutil.Process:
        """The server in vLLM's place."""
        return self._child("tests.fake_server")

    @property
    def master(self) -> psutil.Process:
        """gunicorn's."""
        return self._child("gunicorn")

    def _child(self, word: str) -> psutil.Process:
        def find() -> list[psutil.Process]:
            children = psutil.Process(self.process.pid).children()
            return [child for child in children if word in runs(child)]

        (child,) = wait_until(find)
        return child

    def remember_family(self) -> list[psutil.Process]:
        """Take note of every process, to see later that all are gone."""
        wait_until(lambda: self.vllm.children() or self.vllm.environ().get("VLLM_FAKE_IMPORT"))
        family = psutil.Process(self.process.pid).children(recursive=True)
        self._seen.update(family)
        return family

    def arguments(self) -> list[str]:
        """Every process's, as `ps` shows them."""
        return [runs(each) for each in self.remember_family()]

    def survivors(self) -> list[psutil.Process]:
        """Those that are not; a process that only waits to be reaped by this machine's init is gone."""
        return [each for each in self._seen if each.is_running() and runs(each)]

    def end(self, seconds: float = 10.0) -> int:
        """Wait until it and its family are gone, at most so long; returns its exit code."""
        until = time.monotonic() + seconds
        status = self.process.wait(seconds)
        wait_until(lambda: not self.survivors(), until - time.monotonic())
        assert os.listdir(self.scratch) == []
        return status

    def messages(self) -> list[str]:
        """What entrypoint.sh itself said."""
        return [line["message"] for line in self.log_lines(logger="entrypoint")]


def runs(process: psutil.Process) -> str:
    """What it runs; nothing when it is gone, or only waits to be reaped."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
