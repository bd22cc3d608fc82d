"""A report of usage on a terminal and in a spreadsheet."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts.book import Found, InstanceTime, Span, Totals
from app.accounts.listing import as_csv, as_table
from app.accounts.report import BY, Source, add_unwritten, make_report
from app.counts import USAGE_COLUMNS

HOURS = Span(1_800_000_000 // 86400 * 86400, 1_800_000_000 // 86400 * 86400 + 86400)
NOW = HOURS.since + 3700.0


def counts(**numbers: float) -> list[float]:
    return [float(numbers.get(name, 0)) for name in USAGE_COLUMNS]


def found(*labels: tuple[str, str], **numbers: float) -> Found:
    result = Found()
    usage = {each: counts(**numbers) for each in labels}
    add_unwritten(result, Totals(usage, InstanceTime(60.0, 7200.0, 1800.0)), BY[""], NOW)
    return result


def report(*labels: tuple[str, str], price: float | None = None, **numbers: float) -> dict[str, Any]:
    return make_report(found(*labels, **numbers), HOURS, BY[""], price, Source("sqlite"))


def test_time_has_the_price_of_an_hour() -> None:
    told = report(("a", "m"), price=2.0, gpu_seconds=900)

    assert told["rows"][0]["cost"] == told["totals"]["cost"] == 0.5
    times = told["instances"]
    assert (times["startup_cost"], times["idle_cost"], times["busy_cost"]) == (0.033333, 3.0, 1.0)
    assert times["unattributed_seconds"] == 900
    assert times["cost"] == 4.033333


def test_without_a_price_nothing_has_a_cost() -> None:
    told = report(("a", "m"), gpu_seconds=900)

    assert told["rows"][0]["cost"] is told["totals"]["cost"] is told["instances"]["cost"] is None


def test_a_price_of_nothing_is_a_price() -> None:
    assert report(("a", "m"), price=0.0, gpu_seconds=900)["totals"]["cost"] == 0


def test_what_is_not_written_yet_adds_to_what_is() -> None:
    written = Totals({("a", "m"): counts(requests=3)}, InstanceTime(1.0, 10.0, 5.0))
    kept = Found(
        {("a",): counts(requests=13)}, counts(requests=13), InstanceTime(2.0, 20.0, 9.0), None, written
    )

    now = Totals(
        {("a", "m"): counts(requests=5), ("b", "m"): counts(requests=1)}, InstanceTime(1.0, 12.0, 5.5)
    )
    add_unwritten(kept, now, BY["key"], NOW)

    assert {labels: row[0] for labels, row in kept.rows.items()} == {("a",): 15, ("b",): 1}
    assert kept.totals[0] == 16
    assert kept.time == InstanceTime(2.0, 22.0, 9.5)


def test_a_day_is_told_as_a_date() -> None:
    kept = Found()
    add_unwritten(kept, Totals({("a", "m"): counts(requests=5)}), BY["day"], NOW)

    rows = make_report(kept, HOURS, BY["day"], None, Source("memory"))["rows"]
    assert [(row["day"], row["requests"]) for row in rows] == [("2027-01-15", 5)]


def test_the_table_has_every_row_and_the_totals() -> None:
    lines = as_table(report(("laptop", "m"), ("ci", ""), price=1.0, requests=1234), BY[""]).splitlines()

    heads, *body = [line.split() for line in lines[2:6]]
    assert heads[:3] == ["KEY", "MODEL", "REQUESTS"]
    assert [line[:3] for line in body] == [
        ["ci", "–", "1,234"],
        ["laptop", "m", "1,234"],
        ["TOTAL", "2,468", "0"],
    ]


def test_a_report_that_fails_says_so_in_its_table() -> None:
    told = make_report(Found(), HOURS, BY[""], None, Source("memory", failure="the disk is full"))

    assert "Failing: the disk is full" in as_table(told, BY[""])


def test_the_table_tells_since_when_usage_is_kept_where_that_is_known() -> None:
    kept = Found(kept_since=HOURS.since)
    shown = as_table(make_report(kept, HOURS, BY[""], None, Source("sqlite")), BY[""])

    assert "Kept in sqlite since 2027-01-15T00:00:00Z" in shown
    assert as_table(report(), BY[""]).endswith("\nKept in sqlite")


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "%0A=1", "|calc", '=HYPERLINK("x")']


@pytest.mark.parametrize("name", FORMULAS)
def test_no_name_is_a_formula_in_a_spreadsheet(name: str) -> None:
    text = as_csv(report((name, name), requests=1), BY[""])

    row = list(csv.reader(io.StringIO(text)))[1]
    assert row[:2] == [f"'{name}", f"'{name}"]


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_any_name_comes_back_from_csv_in_one_line_of_the_file(key: str, model: str) -> None:
    text = as_csv(report((key, model), requests=7), BY[""])

    heads, row = csv.reader(io.StringIO(text, newline=""))
    assert len(row) == len(heads) == 3 + len(USAGE_COLUMNS)
    assert [cell.removeprefix("'") for cell in row[:2]] == [key.removeprefix("'"), model.removeprefix("'")]
    assert row[2] == "7"
