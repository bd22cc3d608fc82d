"""Somebody who goes through docs/deploy.md and types every block of it, in one shell, in a checkout.

`gcloud`, `bq`, `make` and `opencode` are stand-ins that write down how they were called and what they were
given; our own commands and curl are real, and reach a stand-in for Secret Manager and a real gateway.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.fenced import read_document
from tests.gateway import wait_until
from tests.local import ROOT
from tests.stand_ins import PATIENCE_SECONDS, Call, StandIns, write_program

PAGES = ("deploy.md", "costs.md")  # the second is read where the first leads to it
PROGRAMS = ("gcloud", "bq", "make", "opencode")
DEPLOYMENT = "builds submit"
ANSWERS = {
    "run revisions list": (0, "vllm-00002-abc\nvllm-00001-xyz"),
    "auth print-identity-token": (0, "made-up-identity-token"),
    "config get account": (0, "ann@example.com"),
    "logging sinks describe": (0, "serviceAccount:made-up-writer@example.com"),
}


class Reader:
    """An empty folder with a checkout and a project in it, and a terminal."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.checkout, self.project, self._bin = folder / "checkout", folder / "project", folder / "bin"
        for each in (self.checkout / ".venv" / "bin", self.project, self._bin):
            each.mkdir(parents=True)
        for name in ("app", "wsgi.py"):
            (self.checkout / name).symlink_to(ROOT / name)
        write_program(
            self.checkout / ".venv" / "bin" / "flask",
            f'#!/bin/sh\nexec {sys.executable} -m flask "$@"\n',
        )
        self._stand_ins = StandIns(folder / "stand-ins")
        self._stand_ins.answer({**ANSWERS, DEPLOYMENT: None})  # it takes until the gateway is there
        for name in PROGRAMS:
            self._stand_ins.put(self._bin / name)
        self._environ = {"PATH": f"{self._bin}:{os.environ['PATH']}", "HOME": str(folder), **environ}

    def start(self) -> None:
        """Begin to type."""
        blocks = [block for page in PAGES for block in read_document(ROOT / "docs" / page)[1]]
        shell = [block.text for block in blocks if block.language == "sh"]
        shell.sort(key=lambda text: "gcloud run services delete" in text)  # taking it all away comes last
        script = "set -euo pipefail\n" + "".join(shell)
        self._process = subprocess.Popen(
            [
                "bash",
                "--noprofile",
                "--norc",
                "-c",
                script.replace("/path/to/your-project", str(self.project)),
            ],
            cwd=self.checkout,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for_deployment(self) -> None:
        """Until the build has been submitted."""
        wait_until(
            lambda: self.called("gcloud", DEPLOYMENT) or self._process.poll() is not None, PATIENCE_SECONDS
        )

    def deploy(self, url: str) -> None:
        """Tell where the gateway is."""
        self._stand_ins.answer({**ANSWERS, "run services describe": (0, url)})

    def end(self) -> tuple[int, str]:
        """The exit code, and all that was printed."""
        output, _ = self._process.communicate(timeout=PATIENCE_SECONDS)
        return self._process.returncode, output

    def called(self, program: str, *begun: str) -> list[Call]:
        """The calls whose arguments begin so."""
        calls = self._stand_ins.calls()
        return [each for each in calls if each.program == program and each.typed.startswith(" ".join(begun))]
