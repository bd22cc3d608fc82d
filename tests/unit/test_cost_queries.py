"""The queries of docs/costs.md: BigQuery's SQL, run by DuckDB on rows made of the gateway's own log lines."""

from datetime import timedelta

import pytest

from tests.cost_tables import NOON, Row, Warehouse, bill_row, log_line, log_row
from tests.fenced import read_document
from tests.local import ROOT

TEXT, BLOCKS = read_document(ROOT / "docs" / "costs.md")
FROM_LOG, FROM_BILL, SHARED = (block.text for block in BLOCKS if block.language == "sql")
ML = {"application": "vllm-inference", "team": "ml", "cost_center": "engineering"}
WEB = {**ML, "team": "web", "cost_center": "design"}
DAY_BEFORE, EARLIER, LONG_AGO = (NOON - timedelta(days=days) for days in (1, 2, 60))


@pytest.fixture
def warehouse() -> Warehouse:
    """Two teams, three keys; a day of the first team on which nobody asked; what is too old."""
    log = [
        log_row(log_line("ann", 30.0, (1000, 100), **ML)),
        log_row(log_line("ann", 30.0, (1000, 100), **ML)),
        log_row(log_line("ben", 20.0, (500, 50), **ML)),
        log_row(log_line("ben", 0.0, (0, 0), **ML)),
        log_row(log_line("cia", 5.0, (10, 1), **WEB)),
        log_row(log_line(None, 0.0, (0, 0), **ML)),
        log_row(log_line("ann", 10.0, (100, 10), **ML), DAY_BEFORE),
        log_row(log_line("ann", 999.0, (9, 9), **ML), LONG_AGO),
    ]
    bill = [
        bill_row(1.0, 0.2, **ML),
        bill_row(0.4, **ML),
        bill_row(0.5, **WEB),
        bill_row(0.6, 0.0, DAY_BEFORE, **ML),
        bill_row(0.3, 0.1, EARLIER, **ML),
        bill_row(7.0),
        bill_row(99.0, 0.0, LONG_AGO, **ML),
    ]
    return Warehouse(log, bill)


def by(rows: list[Row], *names: str) -> dict[tuple[object, ...], Row]:
    keyed = {tuple(row[name] for name in names): row for row in rows}
    assert len(keyed) == len(rows)
    return keyed


def test_the_log_tells_tokens_and_gpu_time_by_key_and_label(warehouse: Warehouse) -> None:
    rows = by(warehouse.ask(FROM_LOG), "key_name", "team", "cost_center", "service")

    assert set(rows) == {("ann", "ml", "engineering", "vllm"), ("ben", "ml", "engineering", "vllm"),
                         ("cia", "web", "design", "vllm")}  # fmt: skip
    ann = rows["ann", "ml", "engineering", "vllm"]
    assert (ann["requests"], ann["prompt_tokens"], ann["cached_tokens"]) == (3, 2100, 1050)
    assert (ann["completion_tokens"], ann["gpu_seconds"]) == (210, 70.0)
    assert ann["busy_cost"] == pytest.approx(70 * 1.421 / 3600, abs=1e-4)


def test_the_bill_is_told_by_day_and_label_with_its_credits_taken_off(warehouse: Warehouse) -> None:
    rows = by(warehouse.ask(FROM_BILL), "day", "team", "cost_center")

    assert {key: row["total"] for key, row in rows.items()} == {
        (NOON.date(), "ml", "engineering"): 1.2,
        (NOON.date(), "web", "design"): 0.5,
        (NOON.date(), None, None): 7.0,
        (DAY_BEFORE.date(), "ml", "engineering"): 0.6,
        (EARLIER.date(), "ml", "engineering"): 0.2,
    }


def test_the_bill_of_a_day_is_shared_out_by_gpu_time(warehouse: Warehouse) -> None:
    rows = by(warehouse.ask(SHARED), "team", "key_name")

    assert {key: row["total"] for key, row in rows.items()} == {
        ("ml", "ann"): 1.5,  # 60 of 80 s of 1.2, and all of 0.6
        ("ml", "ben"): 0.3,
        ("ml", "(nobody)"): 0.2,
        ("web", "cia"): 0.5,
    }
    assert (rows["ml", "ann"]["prompt_tokens"], rows["ml", "ann"]["completion_tokens"]) == (2100, 210)
    assert rows["ml", "(nobody)"]["gpu_seconds"] is None


def test_shares_add_up_to_the_labelled_bill(warehouse: Warehouse) -> None:
    labelled = sum(row["total"] for row in warehouse.ask(FROM_BILL) if row["team"])

    assert sum(row["total"] for row in warehouse.ask(SHARED)) == pytest.approx(labelled)
