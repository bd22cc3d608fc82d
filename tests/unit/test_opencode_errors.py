"""The table of what OpenCode shows is the one that its tests expect."""

import re
from typing import Any

import pytest

from app.overflow import OVERFLOW
from tests.e2e.failures import FAILURES, Failure
from tests.local import ROOT
from tests.unit.test_errors import RETRIED

TEXT = (ROOT / "docs/opencode-errors.md").read_text()
ROWS = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", TEXT, re.MULTILINE)[1:]


def row_of(name: str, failure: Failure) -> tuple[str, str, str]:
    most = "at most " if failure.may_end else ""
    return name, failure.shows, f"{most}{failure.requests}"


def test_the_table_holds_what_is_tested() -> None:
    assert [row_of(name, failure) for name, failure in FAILURES.items()] == ROWS


@pytest.mark.parametrize("failure", [f for f in FAILURES.values() if f.requests == 1 and f.is_final])
def test_what_is_shown_at_once_is_neither_retried_nor_compacted(failure: Any) -> None:
    assert not RETRIED.search(failure.shows)
    assert not OVERFLOW.search(failure.shows.encode())
