"""The page's table of usage, from a report as `/admin/usage` gives it."""

from typing import Any

import pytest

from app.accounts.book import Found, InstanceTime, Span
from app.accounts.report import Source, make_report
from app.counts import USAGE_COLUMNS
from app.status_page.tables import MOST_ROWS, usage_table

EVER = Span(0, 2**32)


def report(rows: int = 1, *, price: float | None = None, kept_in: str = "sqlite", **source: Any) -> Any:
    counts = [float(number) for number in range(len(USAGE_COLUMNS))]
    found = Found(time=InstanceTime(60.0, 7260.0, 60.0))
    found.rows = {(f"key-{number:03}", "m"): counts for number in range(rows)}
    return make_report(found, EVER, ("key", "model"), price, Source(kept_in, **source))


def test_a_row_has_what_a_key_used_of_a_model() -> None:
    table = usage_table(report(price=3600.0))

    assert table.rows == [["key-000", "m", "0", "1", "2", "3", "4", "5", "6", "7.00 s", "7.00"]]
    assert len(table.columns) == len(table.rows[0])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "idle for 2 h 0 min and starting for 1 min 0 s (no GPU_PRICE_PER_HOUR is set)."),
        ({"price": 1.0}, "starting for 1 min 0 s (2.00 and 0.0167), 2.03 in all."),
        ({"kept_in": "memory"}, "USAGE_DATABASE is off: this is one instance since it started."),
        ({"kept_in": "memory", "failure": "the disk is full"}, "kept in memory only: the disk is full."),
        ({"rows": MOST_ROWS + 3}, "3 more are not shown."),
        ({"rows": 0}, "No key has been used in this month."),
    ],
)
def test_the_note_says_what_the_rows_cannot(given: dict[str, Any], said: str) -> None:
    assert said in usage_table(report(**given)).note
