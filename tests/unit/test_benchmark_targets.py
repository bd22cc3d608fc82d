"""A target is met by what was measured, or it is not met; it never passes for want of a figure."""

import pytest

from benchmarks.figures import Values
from benchmarks.measured import Result, Results
from benchmarks.targets import judge
from tests.benchmark_results import cpu, result, results
from tests.measure.figures import Row

EVERYTHING = results(
    result(
        "paced-32",
        {
            "direct": {"delay_ms_p99": [0.5, 0.5]},
            "ours": cpu(20.0, 20.0, delay_ms_p99=[3.5, 3.5]),
            "nginx": cpu(10.0, 10.0),
            "vllm-router": cpu(16.0, 16.0),
        },
    ),
    result("full-speed", {"ours": cpu(8.0, 8.0), "vllm-router": cpu(8.0, 8.0)}),
    result("full-speed-writes", {"ours": cpu(8.0, 8.0), "vllm-router": cpu(8.0, 8.0)}),
    result("growth-8", {"ours": cpu(10.0, 10.0)}),
    result("growth-512", {"ours": cpu(13.0, 13.0)}),
    result(
        "chat",
        {"ours": cpu(250.0, 250.0), "bare-flask": cpu(100.0, 100.0), "fastapi-httpx": cpu(1e3, 1e3)},
    ),
    result(
        "arrivals",
        {
            "direct": {"ttft_ms_p50": [1.0, 1.0]},
            "ours": {"ttft_ms_p50": [13.0, 13.0]},
            "fastapi-httpx": {"ttft_ms_p50": [37.0, 37.0]},
        },
    ),
    result(
        "arrivals-kept",
        {"direct": {"ttft_ms_p50": [1.0, 1.0]}, "ours": {"ttft_ms_p50": [13.0, 13.0]}},
    ),
    result("real-vllm", {"direct": {"rate": [100.0, 100.0]}, "ours": {"rate": [97.0, 97.0]}}),
    result("boot", {"ours": {"pss_worker_mb": [45.0, 45.0], "boot_s": [0.8, 0.8]}}),
    result("memory", {"ours": {"pss_worker_mb": [45.0, 45.0]}}),
)


def find(measured: Results, what: str) -> Row:
    """The one row whose words have those in them."""
    (row,) = (row for row in judge(measured) if what in row.promise)
    return row


def paced(ours: Values, nginx: Values, wrong: str = "") -> Row:
    """The row about nginx; the subject that is named gave a wrong answer."""
    subjects = {
        name: cpu(*times, errors=[0, int(name == wrong)])
        for name, times in (("ours", ours), ("nginx", nginx))
    }
    return find(results(result("paced-32", subjects)), "nginx")


def test_a_figure_at_its_bar_meets_every_target() -> None:
    assert [row for row in judge(EVERYTHING) if not row.is_met] == []


def worse(one: Result) -> Result:
    """All that the gateway needs has grown by 2 %, apart from what its growth is measured by."""
    if one.workload == "growth-8":
        return one
    ours = {
        metric: [value * (0.98 if metric == "rate" else 1.02) for value in values if value is not None]
        for metric, values in one.subjects["ours"].items()
    }
    return result(one.workload, {**one.subjects, "ours": ours})


def test_a_figure_beyond_its_bar_meets_no_target() -> None:
    assert [row for row in judge(results(*map(worse, EVERYTHING))) if row.is_met is not False] == []


def test_nothing_measured_meets_nothing() -> None:
    assert {(row.figure, row.is_met) for row in judge(results())} == {("not measured", None)}


def test_a_missing_subject_or_metric_is_not_measured() -> None:
    assert paced([20.0, 20.0], [None, None]).figure == "not measured"
    alone = results(result("paced-32", {"ours": cpu(20.0, 20.0)}))
    assert find(alone, "nginx").is_met is None
    assert find(alone, "delay").is_met is None


def test_a_round_that_failed_does_not_count() -> None:
    assert paced([20.0, None], [10.0, 5.0]).figure == "2.00 (2.00 to 2.00) ×"


def test_the_median_of_the_ratios_decides() -> None:
    slow_rounds = paced([19.0, 90.0, 19.0], [10.0, 10.0, 10.0])
    assert slow_rounds.is_met
    assert slow_rounds.figure == "1.90 (1.90 to 9.00) ×"


def test_rounds_are_compared_in_pairs() -> None:
    assert paced([10.0, 100.0, 1000.0], [5.0, 50.0, 500.0]).figure == "2.00 (2.00 to 2.00) ×"


@pytest.mark.parametrize("subject", ["ours", "nginx"])
def test_a_wrong_answer_of_either_side_meets_no_target(subject: str) -> None:
    row = paced([10.0, 10.0], [10.0, 10.0], wrong=subject)
    assert row.is_met is False
    assert row.figure.endswith("with errors")


def test_a_wrong_answer_without_any_proxy_meets_no_target_for_what_is_added() -> None:
    direct = {"delay_ms_p99": [0.5], "errors": [1.0]}
    measured = results(result("paced-32", {"direct": direct, "ours": {"delay_ms_p99": [0.6]}}))
    assert find(measured, "delay").is_met is False


def test_a_gateway_that_adds_nothing_is_below_everyone() -> None:
    times = {"direct": 2.0, "ours": 1.9, "fastapi-httpx": 50.0}
    arrivals = result("arrivals", {name: {"ttft_ms_p50": [time]} for name, time in times.items()})
    (row,) = (
        row for row in judge(results(arrivals)) if row.promise.startswith("Added TTFT") and "÷" in row.promise
    )
    assert row.is_met


def test_memory_is_told_before_and_after_the_load() -> None:
    boot, memory = (
        result(name, {"ours": {"pss_worker_mb": [held]}}) for name, held in (("boot", 30.0), ("memory", 50.0))
    )
    rows = [find(results(boot, memory), when) for when in ("before any load", "after the load")]
    assert [(row.figure, row.is_met) for row in rows] == [
        ("30.0 (30.0 to 30.0) MB", True),
        ("50.0 (50.0 to 50.0) MB", False),
    ]
