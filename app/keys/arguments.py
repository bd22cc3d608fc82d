"""What people type for times: `90d`, `24h`, or `2027-01-01T00:00:00Z`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from app.keys.records import read_time

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = timedelta(days=36525)
DURATION = re.compile(r"(\d{1,6})([smhdw])")


class Duration(click.ParamType[timedelta]):
    """A whole number and a unit, such as `24h`; becomes a timedelta."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the text that was typed."""
        match = DURATION.fullmatch(str(value))
        if match is None:
            self.fail("expected a number with s, m, h, d or w behind it, such as 24h", param, ctx)
        duration = timedelta(**{UNITS[match[2]]: int(match[1])})
        if duration > LONGEST:
            self.fail("expected a hundred years at most", param, ctx)
        return duration


class Moment(click.ParamType[str]):
    """A duration from now on, or an RFC 3339 time with its zone; becomes such a time."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read the text that was typed."""
        if DURATION.fullmatch(value):
            return moment_after(Duration().convert(value, param, ctx))
        try:
            read_time(value)
        except ValueError:
            self.fail("expected a duration such as 90d, or a time such as 2027-01-01T00:00:00Z", param, ctx)
        return str(value)


def moment_after(duration: timedelta) -> str:
    """The time that long from now, in UTC and whole seconds."""
    return (datetime.now(UTC) + duration).isoformat(timespec="seconds").replace("+00:00", "Z")
