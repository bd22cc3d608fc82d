"""`flask --app wsgi keys …`, as a person types it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.keys.key_file import KeyFile, parse_key_file
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.local import ROOT
from tests.secret_client import put_keys, secret_settings


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


class KeysPlace:
    """A store, the command that works on it, and a look at what it holds."""

    def __init__(self, folder: Path | None, running: FakeSecretManagerThread | None) -> None:
        self.file = folder and folder / "keys.json"
        self.running = running
        self.keys = KeysCommand(
            **(secret_settings(running) if running else {"API_KEYS_FILE": str(self.file)})
        )

    def content(self) -> bytes:
        """The newest key file there."""
        if self.file:
            return self.file.read_bytes()
        assert self.running is not None
        return self.running.fake.versions("my-project", "keys")[-1].data

    def parsed(self) -> KeyFile:
        """The same, as the gateway reads it."""
        return parse_key_file(self.content())

    def put(self, content: Any) -> None:
        """Write it by other means than the command."""
        if self.running:
            put_keys(self.running, content)
        elif self.file:
            self.file.write_text(json.dumps(content))
