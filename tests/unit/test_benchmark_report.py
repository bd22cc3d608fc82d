"""The report says what the results say: what is missing, what failed and what was not reached included."""

import re

import pytest

from benchmarks import report
from benchmarks.charts import bars, drawn
from benchmarks.figures import Values, number
from benchmarks.measured import Result, load, parse
from benchmarks.tables import targets
from tests.benchmark_results import cpu, result, results

PACED: dict[str, dict[str, Values]] = {
    "direct": {"rate": [1600.0, 1600.0]},
    "ours": cpu(20.0, 22.0, rate=[1600.0, 1600.0], delay_ms_p99=[0.4, 0.5], errors=[0, 0]),
    "nginx": cpu(10.0, 11.0, rate=[1600.0, 1600.0], delay_ms_p99=[None, None], errors=[0, 3]),
}


def rendered(*each: Result, notes: str = "") -> str:
    """The report of those results."""
    return report.render(results(*each), notes)


def row(text: str, name: str) -> list[str]:
    """The cells of the last row that is called so."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in lines[-1].strip("|").split("|")]


def test_the_document_is_what_the_results_give() -> None:
    """`make bench` writes it; after a change of words, `python -m benchmarks.report` does."""
    notes = (report.FOLDER / "notes.md").read_text()
    assert report.DOCUMENT.read_text() == report.render(load(), notes)


def test_the_pictures_are_those_of_the_results() -> None:
    """After new results, `.venv-bench/bin/python -m benchmarks.plots` draws them."""
    measured = load()
    folder = report.DOCUMENT.parent / report.PICTURES
    charts = drawn(measured)
    assert sorted(path.name for path in folder.glob("*.svg")) == sorted(
        f"{chart.name}.svg" for chart in charts
    )
    for chart in charts:
        picture = (folder / f"{chart.name}.svg").read_text()
        for bar in (bar for panel in chart.panels for bar in bars(measured, panel)):
            assert f">{number(bar.figure.median)}" in picture
            assert f">{bar.subject}<" in picture


def test_a_row_has_each_figure_with_its_spread_and_the_ratio() -> None:
    text = rendered(result("paced-32", PACED))
    assert row(text, "**ours**") == [
        "**ours**",
        "21.0 (20.0 to 22.0)",
        "1",
        "1,600 (1,600 to 1,600)",
        "0.450 (0.400 to 0.500)",
        "0",
    ]


def test_a_figure_that_nobody_has_is_a_dash() -> None:
    assert row(rendered(result("paced-32", PACED)), "direct")[1:3] == ["–", "–"]


def test_a_subject_with_errors_is_marked() -> None:
    cells = row(rendered(result("paced-32", PACED)), "nginx ⚠")
    assert cells[2] == "0.500 (0.500 to 0.500)"
    assert cells[-1] == "**3**"


def test_the_kinds_of_errors_are_told_below_the_table() -> None:
    faults = {"nginx": {"no end": 2, "bad head": 1}, "ours": {"no end": 1}}
    text = rendered(result("paced-32", PACED, faults=faults))
    assert "\n\nErrors: ours: 1 × no end; nginx: 1 × bad head, 2 × no end.\n" in text


def test_a_column_without_any_figure_is_left_out() -> None:
    text = rendered(result("paced-32", {"ours": cpu(1.0, delay_ms_p50=[None])}))
    assert "delay p50" not in text


def test_a_metric_without_a_heading_goes_by_its_own_name() -> None:
    assert "| odd_ms |" in rendered(result("paced-32", {"ours": cpu(1.0, odd_ms=[2.0])}))


def test_a_workload_that_is_new_comes_last() -> None:
    text = rendered(result("brand-new", PACED))
    assert text.index("### Title of brand-new (`brand-new`)") > text.index("### `memory`")


def test_a_workload_without_a_file_was_not_measured() -> None:
    text = rendered(result("paced-32", PACED))
    assert re.search(r"### `full-speed`\n\n.* Not measured\.\n", text)


def test_a_workload_without_any_figure_was_not_measured() -> None:
    assert re.search(r"Rounds: 2\.\n\nNot measured\.\n", rendered(result("paced-32", {"ours": {}})))


def test_where_cpu_time_has_no_other_to_compare_the_rate_is_compared_with_no_proxy() -> None:
    subjects: dict[str, dict[str, Values]] = {"direct": {"rate": [100.0]}, "ours": cpu(300.0, rate=[99.0])}
    text = rendered(result("real-vllm", subjects, unit="token"))
    assert "| subject | CPU, µs per token | tokens per second | ÷ direct |" in text
    assert row(text, "**ours**")[3] == "0.990 (0.990 to 0.990)"


def test_a_target_that_is_not_reached_stands_out() -> None:
    nobody_wrong = {**PACED, "nginx": cpu(8.0, 8.0)}
    text = targets(results(result("paced-32", nobody_wrong)))
    assert "| CPU per event, 32 paced streams ÷ nginx | ≤ 2 × | 2.62 (2.50 to 2.75) × | **NO** |" in text


def test_a_target_without_figures_says_so() -> None:
    assert "÷ vllm-router | ≤ 1 × | not measured | – |" in targets(results())


def test_every_subject_tells_its_version_or_that_it_was_not_measured() -> None:
    text = rendered(result("paced-32", PACED, versions={"nginx": "nginx 1.22.1"}))
    assert "| nginx | nginx 1.22.1 |" in text
    assert "| litellm | not measured |" in text


def test_versions_of_what_is_no_subject_stand_below() -> None:
    text = rendered(
        result("paced-32", PACED, versions={"vllm": "0.32.0", "flask": "3.1.3", "nginx": "1.22.1"})
    )
    assert "\n\nWith flask 3.1.3, vllm 0.32.0.\n" in text


def test_a_rig_that_was_not_measured_has_no_row() -> None:
    text = rendered(result("boot", {"ours": {"boot_s": [0.5]}, "direct": {"client_cpu_us": [None]}}))
    assert "| Title of boot |" not in text


def test_a_busy_rig_shows() -> None:
    of_direct = {"client_cpu_us": [4.0], "upstream_cpu_us": [4.0], "rate": [150e3]}
    of_nginx = {"client_cpu_us": [3.0], "upstream_cpu_us": [2.0], "rate": [100e3]}
    subjects = {"direct": of_direct, "ours": {"rate": [50e3]}, "nginx": of_nginx}
    text = rendered(result("full-speed", subjects))
    assert row(text, "Title of full-speed")[3:] == ["150,000 (150,000 to 150,000)", "nginx: 100,000", "50%"]


def test_the_notes_stand_in_it_as_they_are() -> None:
    assert "\n## Why $5 and $mark\n\nWords.\n\n" in rendered(notes="## Why $5 and $mark\n\nWords.\n")


def test_results_of_several_days_tell_the_first_and_the_last() -> None:
    days = {"paced-32": "2026-11-25", "arrivals": "2026-11-23", "aborts": "2026-11-24"}
    text = rendered(*(result(name, {}, date=day) for name, day in days.items()))
    assert "results of 2026-11-23 to 2026-11-25." in text


def test_the_order_of_subjects_in_a_file_does_not_matter() -> None:
    backwards = dict(reversed(PACED.items()))
    assert rendered(result("paced-32", PACED)) == rendered(result("paced-32", backwards))


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"workload": "paced-32"}'])
def test_a_file_that_is_no_result_is_no_silent_gap(text: str) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        parse(text)
