"""Somebody who goes through docs/deploy.md and types every block of it, in one shell, in a checkout.

`gcloud`, `bq`, `make` and `opencode` are stand-ins that write down how they were called and what they were
given; our own commands and curl are real, and reach a stand-in for Secret Manager and a real gateway.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fenced import read_document
from tests.gateway import wait_until
from tests.local import ROOT

PAGES = ("deploy.md", "costs.md")  # the second is read where the first leads to it
PROGRAMS = ("gcloud", "bq", "make", "opencode")
DEPLOYMENT = "builds submit"
SECONDS = 120
# What a stand-in prints, by what its arguments begin with. A deployment waits until the gateway is there.
STAND_IN = f"""#!{sys.executable}
import json, sys, time
from pathlib import Path
here, name, arguments = Path(__file__).parent, Path(sys.argv[0]).name, sys.argv[1:]
given = sys.stdin.read() if "--data-file=-" in arguments else ""
with (here / "calls").open("a") as calls:
    calls.write(json.dumps([name, arguments, given]) + "\\n")
typed, url = " ".join(arguments), here / "url"
while typed.startswith("{DEPLOYMENT}") and not url.exists():
    time.sleep(0.05)
answers = {{
    "run services describe": url.read_text() if url.exists() else "",
    "run revisions list": "vllm-00002-abc\\nvllm-00001-xyz",
    "auth print-identity-token": "made-up-identity-token",
    "config get account": "ann@example.com",
    "logging sinks describe": "serviceAccount:made-up-writer@example.com",
}}
print(next((answer for begun, answer in answers.items() if typed.startswith(begun)), ""))
"""


@dataclass(frozen=True)
class Call:
    """One call of a stand-in."""

    program: str
    arguments: list[str]
    given: str

    @property
    def typed(self) -> str:
        """The arguments as one text."""
        return " ".join(self.arguments)

    def option(self, name: str) -> str:
        """The value of `--name=value` or `--name value`, or nothing."""
        words = " ".join(self.arguments).replace(f"--{name} ", f"--{name}=").split()
        return next((each.partition("=")[2] for each in words if each.startswith(f"--{name}=")), "")


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
        for name in PROGRAMS:
            write_program(self._bin / name, STAND_IN)
        (self._bin / "calls").touch()
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
        wait_until(lambda: self.called("gcloud", DEPLOYMENT) or self._process.poll() is not None, SECONDS)

    def deploy(self, url: str) -> None:
        """Tell where the gateway is."""
        (self._bin / "part").write_text(url)
        (self._bin / "part").rename(self._bin / "url")

    def end(self) -> tuple[int, str]:
        """The exit code, and all that was printed."""
        output, _ = self._process.communicate(timeout=SECONDS)
        return self._process.returncode, output

    def called(self, program: str, *begun: str) -> list[Call]:
        """The calls whose arguments begin so."""
        lines: list[Any] = [json.loads(line) for line in (self._bin / "calls").read_text().splitlines()]
        calls = [Call(*line) for line in lines]
        return [each for each in calls if each.program == program and each.typed.startswith(" ".join(begun))]


def write_program(path: Path, text: str) -> None:
    """A file that can be run."""
    path.write_text(text)
    path.chmod(0o755)
