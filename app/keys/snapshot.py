"""What the workers of an instance exchange about keys, and what a reload tells."""

from typing import Any

import msgspec

from app.keys.key_file import MOST_SENTENCES
from app.keys.records import KeyRecord


class KeySet(msgspec.Struct, frozen=True):
    """What workers exchange: digests and what goes with them, and each key's place among the times of use.

    `content` is SHA-256 in hex of the bytes that the set was made of.
    """

    records: list[KeyRecord] = []
    places: list[int] = []
    version: int | None = None
    content: str | None = None
    problems: list[str] = []
    warnings: list[str] = []


class Report(msgspec.Struct, frozen=True):
    """How the last readings went: what was confirmed when (CLOCK_MONOTONIC), and what failed since."""

    version: int | None = None
    confirmed_at: float | None = None
    failure: str | None = None


class Changes(msgspec.Struct, frozen=True):
    """Names that came, went, or have other keys or rights than before."""

    added: list[str] = []
    removed: list[str] = []
    changed: list[str] = []


class Reload(msgspec.Struct, frozen=True):
    """What a reload did. Without `reloaded` the set before stays, for the `reason`."""

    reloaded: bool
    generation: int
    version: int | None
    keys: int
    changes: Changes = Changes()
    problems: list[str] = []
    warnings: list[str] = []
    reason: str | None = None

    @property
    def is_news(self) -> bool:
        """Whether a key is not as it was before."""
        return self.changes != Changes()

    def log_fields(self) -> dict[str, Any]:
        """What a line of log tells, long lists cut."""
        names = {f"{kind}_names": each for kind, each in msgspec.structs.asdict(self.changes).items()}
        sentences = {"problems": self.problems, "warnings": self.warnings}
        shown = {field: found[:MOST_SENTENCES] for field, found in (names | sentences).items()}
        return {"generation": self.generation, "version": self.version, "keys": self.keys, **shown}
