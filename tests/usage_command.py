"""`flask --app wsgi usage`, as a person types it."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.local import ROOT


class UsageCommand:
    """Runs the command in a process of its own; `environ` has the settings."""

    def __init__(self, **environ: str) -> None:
        self.environ = {"PATH": os.environ["PATH"], **environ}

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Status, output, and what was told to the person."""
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "usage", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environ, text=True, capture_output=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def __call__(self, *arguments: str) -> str:
        """The output of a command that must succeed."""
        status, output, told = self.run(*arguments)
        assert status == 0, told
        return output

    def report(self, *arguments: str) -> dict[str, Any]:
        """The same with `--json`, decoded."""
        report: dict[str, Any] = json.loads(self("--json", *arguments))
        return report
