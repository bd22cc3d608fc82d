"""A clock that goes only when it is told to, and a command whose gateways are told what to answer."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.opencode_command import Written


class Clock:
    """In the place of CLOCK_MONOTONIC, for everyone who asks for it by `time.monotonic()`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        # A whole number: with a fraction, sums are rounded one way on one machine and the other on the next,
        # by how long it has been up.
        self.now = float(math.ceil(time.monotonic()))
        patch.setattr(time, "monotonic", lambda: self.now)

    def go(self, seconds: float) -> None:
        """So much later."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Written]:
    """`opencode-config`."""
    with Written(tmp_path / "opencode.json") as command:
        yield command
