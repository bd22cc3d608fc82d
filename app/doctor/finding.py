"""What a check has found."""

from dataclasses import dataclass
from enum import Enum

from app.doctor.catalogue import TROUBLES
from app.doctor.catalogue.trouble import Level


class Verdict(Enum):
    """What one line of the report begins with."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict of one check; `code` names the trouble, and `fix` says what to do about it."""

    verdict: Verdict
    text: str
    code: str = ""
    fix: str = ""
    request_id: str = ""  # where the fix is to look for it


class Stopped(Exception):
    """A check cannot go on; what it has found is `finding`."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


def fine(text: str) -> Finding:
    """Nothing is wrong; `text` says what was seen."""
    return Finding(Verdict.OK, text)


def skipped(reason: str) -> Finding:
    """Not looked at, because something else has to be right first."""
    return Finding(Verdict.SKIPPED, f"because {reason}")


def trouble(code: str, /, **values: object) -> Finding:
    """A trouble of the catalogue, its sentences filled in with what was seen."""
    entry = TROUBLES[code]
    verdict = Verdict.FAULT if entry.level is Level.FAULT else Verdict.WARNING
    return Finding(verdict, entry.what.format(**values), code, entry.fix.format(**values))
