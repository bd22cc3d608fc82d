"""An audit is believed only when it found what was planted, and had an answer about everything else."""

import json
from typing import Any

import pytest

from tests.local import ROOT
from tests.supply.audit import LOCKS, PLANTED, Unanswered, read_report
from tests.supply.locks import parse_lock, read_lock

LOCKED = {("flask", "3.1.3"), ("gunicorn", "27.0.1")}
FAULT = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["9.9"], "description": "bad"}


def report(**answers: dict[str, Any]) -> str:
    """As pip-audit prints it: a good one, apart from `answers`."""
    good = {
        "django": {"name": "django", "version": "2.2", "vulns": [FAULT]},
        "flask": {"name": "flask", "version": "3.1.3", "vulns": []},
        "gunicorn": {"name": "gunicorn", "version": "27.0.1", "vulns": []},
    }
    return json.dumps({"dependencies": list({**good, **answers}.values()), "fixes": []})


def test_nothing_against_what_is_locked_is_a_pass() -> None:
    assert read_report(report(), LOCKED) == []


def test_a_vulnerability_is_told_with_the_version_that_mends_it() -> None:
    flask = {
        "name": "flask",
        "version": "3.1.3",
        "vulns": [FAULT, {**FAULT, "aliases": [], "fix_versions": []}],
    }

    assert read_report(report(flask=flask), LOCKED) == [
        "flask 3.1.3: PYSEC-1, CVE-1, mended in 9.9",
        "flask 3.1.3: PYSEC-1, mended in no version yet",
    ]


@pytest.mark.parametrize(
    "answers",
    [
        {"django": {"name": "django", "version": "2.2", "vulns": []}},
        {"django": {"name": "django", "skip_reason": "not found"}},
        {"django": {"name": "django", "version": "6.0", "vulns": [FAULT]}},
        {"gunicorn": {"name": "gunicorn", "skip_reason": "not found"}},
        {"gunicorn": {"name": "gunicorn", "version": "26.0", "vulns": []}},
    ],
    ids=["planted-good", "planted-skipped", "planted-other", "skipped", "other-version"],
)
def test_silence_is_no_pass(answers: dict[str, Any]) -> None:
    with pytest.raises(Unanswered):
        read_report(report(**answers), LOCKED)


def test_the_planted_package_is_installed_nowhere() -> None:
    planted = parse_lock((ROOT / PLANTED).read_text())

    assert planted
    assert all(not planted.keys() & read_lock(lock).keys() for lock in LOCKS)
