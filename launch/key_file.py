"""The local key file: made once, with one key that may do everything."""

import json
import os
import secrets
from pathlib import Path

NAME = "local"


def create_key_file(path: Path) -> str | None:
    """Write a key file that only its owner can read; returns its key, or None when there is a file already.

    Raises OSError when it cannot be written.
    """
    if path.exists():
        return None
    key = "sk-" + secrets.token_urlsafe(32)
    entry = {"key": key, "scopes": ["inference", "admin"]}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps({NAME: entry}, indent=2) + "\n")
    unfinished.rename(path)
    return key
