"""Which time is asked for: `24h`, `7d`, a day, or a moment with its zone."""

import re
import time
from datetime import UTC, datetime

from app.accounts.book import DAY, HOUR, Span
from app.keys.records import read_time

AGO = re.compile(r"([1-9]\d{0,4})([hdw])", re.ASCII)
A_DAY = re.compile(r"[12]\d{3}-\d\d-\d\d", re.ASCII)
SECONDS = {"h": HOUR, "d": DAY, "w": 7 * DAY}
# Without an example in digits: clients take some numbers in an error for a status.
EXPECTED = "a whole number with h, d or w behind it, a date, or a time with its zone"
EARLIER = "earlier than until, which is now unless it is given"


class SpanRefused(Exception):
    """Not a time, or not one before the other; `param` is which one, and begins the sentence that says so."""

    def __init__(self, param: str, expected: str) -> None:
        super().__init__(f"{param} must be {expected}.")
        self.param = param


def parse_span(since: str | None, until: str | None, *, now: float | None = None) -> Span:
    """The whole hours from one to the other; from the first of this month (UTC) up to now by default.

    Raises SpanRefused.
    """
    now = time.time() if now is None else now
    first_of_month = datetime.fromtimestamp(now, UTC).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    begin = _read("since", since, now) if since is not None else first_of_month.timestamp()
    end = _read("until", until, now) if until is not None else now + 1  # this hour is in it from its start on
    span = Span(int(begin) // HOUR * HOUR, -(-int(end) // HOUR) * HOUR)
    if span.since >= span.until:
        raise SpanRefused("since", EARLIER)
    return span


def _read(param: str, text: str, now: float) -> float:
    ago = AGO.fullmatch(text)
    if ago:
        return max(0.0, now - int(ago[1]) * SECONDS[ago[2]])
    try:
        return read_time(f"{text}T00:00:00Z" if A_DAY.fullmatch(text) else text)
    except ValueError:
        raise SpanRefused(param, EXPECTED) from None
