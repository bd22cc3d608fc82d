"""Medians, spreads and comparisons: what every claim about speed is computed with."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Summary, differences, in_milliseconds, number, ratios, summary, total

TIMES = st.floats(1e-3, 1e6)
ROUNDS = st.lists(st.one_of(st.none(), TIMES), max_size=9)


def test_a_summary_is_the_median_between_the_least_and_the_most() -> None:
    assert summary([9.0, 1.0, 2.0]) == Summary(2.0, 1.0, 9.0)


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_a_round_without_a_value_does_not_count(nothing: float | None) -> None:
    assert summary([nothing, 3.0]) == Summary(3.0, 3.0, 3.0)
    assert summary([nothing]) is None


def test_nothing_measured_has_no_summary() -> None:
    assert summary([]) is None


def test_times_are_told_as_percentiles_in_milliseconds() -> None:
    times = [count / 1000 for count in range(101)]
    assert in_milliseconds("delay", times) == pytest.approx({"delay_ms_p50": 50.0, "delay_ms_p99": 99.0})
    assert in_milliseconds("delay", [0.5]) == {}


def test_a_ratio_is_made_within_each_round() -> None:
    assert ratios([10.0, 30.0], [5.0, 10.0]) == [2.0, 3.0]


@pytest.mark.parametrize(("value", "other"), [(None, 1.0), (1.0, None), (1.0, 0.0)])
def test_a_round_that_cannot_be_compared_has_no_ratio(value: float | None, other: float | None) -> None:
    assert ratios([value, 4.0], [other, 2.0]) == [None, 2.0]


def test_nothing_has_a_ratio_of_zero_rather_than_none() -> None:
    assert ratios([0.0], [2.0]) == [0.0]


def test_a_difference_is_made_within_each_round() -> None:
    assert differences([3.0, None, 5.0], [1.0, 1.0, 7.0]) == [2.0, None, -2.0]


def test_rounds_that_only_one_of_two_has_are_left_out() -> None:
    assert ratios([2.0, 4.0], [2.0]) == [1.0]
    assert differences([2.0], [2.0, 4.0]) == [0.0]


def test_what_is_counted_is_added_up() -> None:
    assert total([1, None, 2]) == 3


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (0.0461, "0.046"),
        (0.5, "0.500"),
        (1.254, "1.25"),
        (12.34, "12.3"),
        (100.4, "100"),
        (1234.5, "1,234"),
        (-0.25, "-0.250"),
        (0.0001, "0.000"),
    ],
)
def test_a_number_has_three_digits_that_count(value: float, words: str) -> None:
    assert number(value) == words


@given(ROUNDS)
def test_a_median_lies_between_the_least_and_the_most(values: list[float | None]) -> None:
    found = summary(values)
    if found is None:
        assert values == [None] * len(values)
    else:
        assert found.low <= found.median <= found.high


@given(ROUNDS, TIMES)
def test_a_machine_that_is_slower_in_a_round_changes_no_ratio(
    values: list[float | None], slower: float
) -> None:
    scaled = [None if value is None else value * slower for value in values]
    assert ratios(scaled, [slower] * len(values)) == pytest.approx(values)


@given(st.floats(1e-2, 1e9))
def test_a_number_is_told_to_half_of_its_third_digit(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=0.051)
