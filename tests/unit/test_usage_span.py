"""Which hours are meant."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts.book import HOUR, Span
from app.accounts.span import EARLIER, EXPECTED, SpanRefused, parse_span

NOW = datetime(2026, 11, 26, 10, 20, 30, tzinfo=UTC).timestamp()


def at(day: int, hour: int) -> int:
    return int(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("since", "until", "span"),
    [
        (None, None, Span(at(1, 0), at(26, 11))),
        ("24h", None, Span(at(25, 10), at(26, 11))),
        ("7d", None, Span(at(19, 10), at(26, 11))),
        ("1w", "1d", Span(at(19, 10), at(25, 11))),
        ("2026-11-05", "2026-11-06", Span(at(5, 0), at(6, 0))),
        ("2026-11-05T12:30:00Z", "2026-11-05T12:31:00Z", Span(at(5, 12), at(5, 13))),
        ("2026-11-05T12:30:00+02:00", None, Span(at(5, 10), at(26, 11))),
    ],
)
def test_a_span_is_whole_hours(since: str | None, until: str | None, span: Span) -> None:
    assert parse_span(since, until, now=NOW) == span


def test_the_hour_that_begins_now_is_in_it() -> None:
    assert parse_span("1h", None, now=at(26, 10)).has(at(26, 10))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0d",
        "7",
        "d",
        "7x",
        "-7d",
        "7 d",
        "123456h",
        "٣d",
        "today",
        "2026-13-01",
        "2026-11-5",
        "2026-11-05T12:00",
    ],
)
@pytest.mark.parametrize("param", ["since", "until"])
def test_anything_else_is_refused_by_name(text: str, param: str) -> None:
    with pytest.raises(SpanRefused) as caught:
        parse_span(**{"since": None, "until": None, param: text}, now=NOW)

    assert caught.value.param == param


@pytest.mark.parametrize(("since", "until"), [("1d", "2d"), ("2999-01-01", None)])
def test_an_end_before_the_beginning_is_refused_as_such(since: str, until: str | None) -> None:
    with pytest.raises(SpanRefused, match="since must be earlier than until"):
        parse_span(since, until, now=NOW)


def test_what_is_expected_can_stand_in_an_error_for_a_client() -> None:
    assert not any(char.isdigit() for char in EXPECTED + EARLIER)


@given(st.text(max_size=30), st.text("0123456789-T:Z+hdw. ", max_size=26))
def test_any_text_is_a_span_or_refused(since: str, until: str) -> None:
    try:
        span = parse_span(since, until, now=NOW)
    except SpanRefused:
        return
    assert span.since < span.until
    assert span.since % HOUR == span.until % HOUR == 0
