"""`flask --app wsgi keys …`, as a person types it."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.local import ROOT


class KeysCommand:
    """Runs the command in a process of its own; `environ` names the store."""

    def __init__(self, **environ: str) -> None:
        self.environ = {"PATH": os.environ["PATH"], **environ}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Begin one command."""
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "keys", *arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=ROOT, env=self.environ, text=True, **pipes)  # type: ignore[call-overload, no-any-return]

    def run(self, *arguments: str, typed: str = "") -> tuple[int, str, str]:
        """Status, output, and what was told to the person."""
        process = self.start(*arguments)
        output, told = process.communicate(typed, timeout=60)
        return process.returncode, output, told

    def __call__(self, *arguments: str, typed: str = "") -> str:
        """The output of a command that must succeed."""
        status, output, told = self.run(*arguments, typed=typed)
        assert status == 0, told
        return output.strip()

    def listed(self) -> list[dict[str, Any]]:
        """What `list --json` says of each key."""
        return list(json.loads(self("list", "--json"))["keys"])
