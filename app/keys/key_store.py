"""What a place that holds the key file can do."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

Change = Callable[[dict[str, Any]], None]  # of the decoded key file, in place


class Content(msgspec.Struct, frozen=True):
    """A key file as it was read, and the number of its version where the store counts them."""

    data: bytes
    version: int | None = None


class KeyStore(Protocol):
    """A place that holds the key file."""

    kind: str  # for people: `file` or `secret_manager`
    has_versions: bool
    blocks: bool  # reading stops the event loop, and so belongs into a thread

    def read(self, version: int | None = None) -> Content:
        """The file as it is now, or as that version has it. Raises StoreRefused or StoreUnavailable."""


class WritableStore(KeyStore, Protocol):
    """A store that a person's command may change."""

    def create(self) -> None:
        """Make an empty store. Raises StoreRefused when there is one, and as `read` does."""

    def update(self, change: Change) -> int | None:
        """Read, change and write while no other writer can; returns the new version's number, if any.

        Raises KeyFileError when what is there is no key file, and as `read` does.
        """
