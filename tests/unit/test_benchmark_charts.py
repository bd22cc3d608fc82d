"""What is drawn is what was measured; what is cut says so."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.charts import CHARTS, GROWTH, apart, bars, drawn, lines
from benchmarks.figures import Summary
from tests.benchmark_results import cpu, result, results

PANEL = CHARTS[0].panels[0]


def test_the_shortest_bar_is_the_first() -> None:
    measured = results(result("paced-32", {"ours": cpu(20.0), "nginx": cpu(10.0), "litellm": cpu(90.0)}))
    assert [bar.subject for bar in bars(measured, PANEL)] == ["nginx", "ours", "litellm"]


def test_a_bar_is_cut_where_it_would_hide_the_others() -> None:
    measured = results(
        result("paced-32", {"ours": cpu(20.0), "fastapi-httpx": cpu(160.0), "litellm": cpu(161.0)})
    )
    assert [(bar.end, bar.is_cut) for bar in bars(measured, PANEL)] == [
        (20.0, False),
        (160.0, False),
        (160.0, True),
    ]


def test_a_bar_reaches_to_the_highest_round_unless_it_is_cut() -> None:
    measured = results(result("paced-32", {"ours": cpu(20.0, 10.0, 300.0), "litellm": cpu(900.0)}))
    assert [bar.reach for bar in bars(measured, PANEL)] == [300.0, 160.0]


def test_without_ours_no_bar_is_cut() -> None:
    measured = results(result("paced-32", {"nginx": cpu(1.0), "litellm": cpu(1e4)}))
    assert not any(bar.is_cut for bar in bars(measured, PANEL))


def test_a_subject_without_that_metric_has_no_bar() -> None:
    assert bars(results(result("paced-32", {"ours": cpu(None), "direct": {}})), PANEL) == []
    assert bars(results(), PANEL) == []


def test_a_line_has_a_point_for_each_number_of_streams_that_was_measured() -> None:
    few, many = (result(f"growth-{count}", {"ours": cpu(10.0, 11.0, 12.0)}) for count in (8, 512))
    assert lines(results(many, few)) == {"ours": {8: Summary(11, 10, 12), 512: Summary(11, 10, 12)}}


def test_only_what_was_measured_is_drawn() -> None:
    assert drawn(results()) == []
    paced, growth = (result(name, {"ours": cpu(1.0)}) for name in ("paced-32", "growth-8"))
    assert drawn(results(growth)) == [GROWTH]
    assert drawn(results(paced, growth)) == [CHARTS[0], GROWTH]


@given(st.lists(st.integers(0, 100)), st.integers(1, 20))
def test_names_of_lines_keep_their_distance_and_their_order(places: list[int], gap: int) -> None:
    places.sort()
    moved = apart(places, gap)
    assert all(upper - lower >= gap for lower, upper in zip(moved, moved[1:], strict=False))
    assert all(new >= old for new, old in zip(moved, places, strict=True))
    assert moved[:1] == places[:1]
