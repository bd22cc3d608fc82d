"""The ratios that are guarded, what `--quick` means, and the files that a run writes."""

import math
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.__main__ import QUICK_SUBJECTS, QUICK_WORKLOADS, parse
from benchmarks.guard import BARS, Bar, Ratio, judge, ratio_of
from benchmarks.measured import load
from benchmarks.results import Figures
from benchmarks.workloads import WORKLOADS


def measured(ours: list[float], nginx: list[float]) -> dict[str, Figures]:
    figures = Figures("chat", "request", "Chat")
    for name, values in (("ours", ours), ("nginx", nginx)):
        for value in values:
            figures.add(name, {"cpu_us": value}, Counter())
    return {"chat": figures}


RATIO = Ratio("chat", "cpu_us", "nginx")


def test_a_ratio_is_of_figures_of_the_same_round() -> None:
    assert ratio_of(measured([10, 40, 90], [5, 10, 15]), RATIO) == 4.0


def test_a_ratio_without_figures_is_none() -> None:
    assert ratio_of(measured([10], []), RATIO) is None
    assert ratio_of({}, RATIO) is None


@pytest.mark.parametrize(("ours", "is_met"), [(10.9, True), (11.1, False)])
def test_a_ratio_may_be_worse_by_its_noise(ours: float, is_met: bool) -> None:
    rows = judge(measured([ours], [10]), {RATIO: Bar(1.0, 0.1)})

    assert [row.is_met for row in rows] == [is_met]


def test_what_was_not_measured_is_not_passed() -> None:
    assert [row.is_met for row in judge({}, {RATIO: Bar(1.0, 0.1)})] == [False]


def test_wrong_answers_of_ours_fail_the_guard() -> None:
    figures = measured([1], [1])
    figures["chat"].add("ours", {}, Counter({"status 500": 2}))

    assert [row.is_met for row in judge(figures, {})] == [False]


def test_every_bar_is_of_something_that_is_measured() -> None:
    assert {ratio.workload for ratio in BARS} <= set(QUICK_WORKLOADS)
    assert {ratio.against for ratio in BARS} <= set(QUICK_SUBJECTS)


def test_a_file_has_a_value_a_round_and_null_where_there_is_none(tmp_path: Path) -> None:
    figures = Figures("chat", "request", "Chat")
    direct = {"cpu_us": 0.0, "rate": 10.0, "upstream_cpu_us": 1.0, "client_cpu_us": 2.0}
    figures.add("direct", direct, Counter())
    figures.add("ours", {"cpu_us": 5.0}, Counter())
    figures.add("ours", {"cpu_us": math.nan}, Counter({"status 500": 2}))
    figures.write(tmp_path)

    result = load(tmp_path).by_workload["chat"]
    assert result.subjects["ours"] == {"cpu_us": [5.0, None], "errors": [0.0, 2.0]}
    assert result.subjects["direct"] == {**{name: [value] for name, value in direct.items()}, "errors": [0.0]}
    assert result.faults == {"ours": {"status 500": 2}}
    assert result.rounds == 2


def test_names_of_workloads_are_unique() -> None:
    names = [name for each in WORKLOADS for name in (each.name, each.also) if name]

    assert len(names) == len(set(names))


def test_a_choice_goes_before_what_quick_means() -> None:
    options = parse(["--quick", "--rounds", "2", "--only", "aborts"])

    assert (options.rounds, options.only) == (2, ["aborts"])
    assert set(options.subjects) <= set(QUICK_SUBJECTS)
