"""Numbers as a person reads them."""

import pytest

from app.status_page.texts import age, count, moment, rate, seconds, share


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0 s"), (0.0004, "400 µs"), (0.0075, "7.5 ms"), (0.2074, "207 ms"), (1.234, "1.23 s"),
     (61.04, "61.0 s"), (150.0, "2 min 30 s"), (9000.0, "2 h 30 min")],
)  # fmt: skip
def test_a_short_time(value: float | None, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (4.4, "4 s"), (65.0, "1 min 5 s"), (3660.0, "1 h 1 min"), (200_000.0, "2 d 7 h")],
)
def test_a_long_time(value: float | None, text: str) -> None:
    assert age(value) == text


def test_counts_rates_shares_and_moments() -> None:
    assert (count(12345.0), rate(2.44), rate(1234.0)) == ("12\u202f345", "2.4", "1\u202f234")
    assert (share(0.891), moment(0.0)) == ("89 %", "1970-01-01 00:00:00")
