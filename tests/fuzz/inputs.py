"""What a fuzzer sends on one connection; it can be written to a file and be played again."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.client import KEY

PASSES = "passes"  # the gateway lets it through: the model server's own answer


@dataclass(frozen=True)
class Input:
    """Bytes in pieces, with a pause in seconds between them.

    `expected` is the error code that one request has to get, `PASSES`, or nothing where that is not known.
    """

    pieces: tuple[bytes, ...]
    pause: float = 0.0
    expected: str | None = None

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)

    @property
    def has_key(self) -> bool:
        """Whether the valid key stands anywhere in it."""
        return KEY.encode() in self.data

    def write(self, file: Path, problems: list[str]) -> None:
        """Keep it, with what it has shown."""
        pieces = [piece.decode("latin-1") for piece in self.pieces]
        content = {"problems": problems, "pause": self.pause, "expected": self.expected, "pieces": pieces}
        file.write_text(json.dumps(content, indent=1))

    @classmethod
    def read(cls, file: Path) -> "Input":
        """One that was kept."""
        content = json.loads(file.read_text())
        pieces = tuple(piece.encode("latin-1") for piece in content["pieces"])
        return cls(pieces, content["pause"], content["expected"])
