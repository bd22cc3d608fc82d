"""Where key sets come from."""

import os
from typing import Protocol

from app.keys.records import MAX_FILE_BYTES, KeyFileError


class KeyStore(Protocol):
    """A place that holds the key file."""

    def read(self) -> bytes:
        """The file as it is now. Raises KeyFileError when it cannot be read."""


class FileStore:
    """A local JSON file; a mounted secret volume works the same way."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> bytes:
        """Read at most one byte more than a key file may have."""
        try:
            with open(self.path, "rb") as file:
                return file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise KeyFileError(f"the key file cannot be read: {reason}") from error
