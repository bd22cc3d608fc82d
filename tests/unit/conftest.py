"""A clock that goes only when it is told to."""

import time

import pytest


class Clock:
    """In the place of CLOCK_MONOTONIC, for everyone who asks for it by `time.monotonic()`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        patch.setattr(time, "monotonic", lambda: self.now)

    def go(self, seconds: float) -> None:
        """So much later."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)
