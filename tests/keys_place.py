"""A place of keys for tests of commands: a file or a secret."""

import json
from pathlib import Path
from typing import Any

from app.keys.key_file import KeyFile, parse_key_file
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.keys_command import KeysCommand
from tests.secret_client import put_keys, secret_settings


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
        self.put_bytes(json.dumps(content).encode())

    def put_bytes(self, data: bytes) -> None:
        """The same, whatever it is."""
        if self.running:
            put_keys(self.running, data)
        elif self.file:
            self.file.write_bytes(data)
