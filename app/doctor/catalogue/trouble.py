"""What a trouble is: one sentence that says what is wrong, and one that says how to mend it."""

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """A fault keeps clients from working, or lets strangers in; a warning does neither."""

    FAULT = "fault"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that can be wrong. Both texts are format strings."""

    level: Level
    what: str
    fix: str


def fault(what: str, fix: str) -> Trouble:
    """What keeps clients from working, or lets strangers in."""
    return Trouble(Level.FAULT, what, fix)


def warning(what: str, fix: str) -> Trouble:
    """What works, but not as well as it could, or not for everybody."""
    return Trouble(Level.WARNING, what, fix)


READ_LOG = "Look for the X-Request-Id in the gateway's log, and at vLLM's log of that time."
