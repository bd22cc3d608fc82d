"""What people are told about usage: rows by key and model, totals, the instances' time, and what it cost."""

import heapq
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.accounts.book import (
    DAY,
    GPU_SECONDS,
    GROUPS,
    HOUR,
    MOST_ROWS,
    Counts,
    Found,
    InstanceTime,
    Span,
    Totals,
)
from app.counts import USAGE_COLUMNS

BY = {"": ("key", "model"), **{group: (group,) for group in GROUPS}}
DIGITS = 6  # of seconds and money


@dataclass(frozen=True, slots=True)
class Source:
    """Where the numbers come from."""

    kept_in: str  # `sqlite`, `postgresql` or `memory`
    written_at: float | None = None  # by this instance
    failure: str | None = None  # why it cannot write or read


def add_unwritten(found: Found, totals: Totals, groups: tuple[str, ...], now: float) -> None:
    """Count in what this instance has not written yet: it belongs to the hour of this moment."""
    grown = totals.less(found.written)
    for (key, model), counts in grown.usage.items():
        values = {"key": key, "model": model, "day": int(now) // DAY * DAY}
        labels = tuple(values[group] for group in groups)
        found.rows[labels] = _plus(found.rows.get(labels), counts)
        found.totals = _plus(found.totals, counts)
    found.time = InstanceTime(*_plus(list(found.time), list(grown.time)))


def make_report(
    found: Found, span: Span, groups: tuple[str, ...], price_per_hour: float | None, source: Source
) -> dict[str, Any]:
    """The report as JSON has it; the price is for an hour of one instance, in the user's own currency."""

    def cost(seconds: float) -> float | None:
        return None if price_per_hour is None else round(seconds / HOUR * price_per_hour, DIGITS)

    def told(counts: Counts) -> dict[str, Any]:
        values = zip(USAGE_COLUMNS, counts, strict=True)
        numbers = {name: _number(name, value) for name, value in values}
        return {**numbers, "cost": cost(counts[GPU_SECONDS])}

    rows = heapq.nsmallest(MOST_ROWS, found.rows.items(), key=lambda row: (-row[1][GPU_SECONDS], row[0]))
    return {
        "since": as_text(span.since),
        "until": as_text(span.until),
        "rows": [{**_labels(groups, labels), **told(counts)} for labels, counts in rows],
        "is_cut": len(found.rows) > MOST_ROWS,
        "totals": told(found.totals),
        "instances": _describe_time(found, cost),
        "price_per_hour": price_per_hour,
        "source": {
            "kept_in": source.kept_in,
            "kept_since": as_text(found.kept_since),
            "written_at": as_text(source.written_at),
            "failure": source.failure,
        },
    }


def _describe_time(found: Found, cost: Any) -> dict[str, Any]:
    startup, ready, busy = found.time
    idle = max(0.0, ready - busy)
    seconds = {
        "startup": startup,
        "idle": idle,
        "busy": busy,
        "unattributed": max(0.0, busy - found.totals[GPU_SECONDS]),
    }
    return {
        **{f"{name}_seconds": round(value, DIGITS) for name, value in seconds.items()},
        **{f"{name}_cost": cost(value) for name, value in seconds.items()},
        "cost": cost(startup + ready),
    }


def as_text(moment: float | None) -> str | None:
    """RFC 3339 in UTC, in whole seconds."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _labels(groups: tuple[str, ...], labels: tuple[Any, ...]) -> dict[str, Any]:
    named = dict(zip(groups, labels, strict=True))
    if "day" in named:
        named["day"] = (as_text(named["day"]) or "")[:10]
    return named


def _number(name: str, value: float) -> float | int:
    return round(value, DIGITS) if name.endswith("_seconds") else int(value)


def _plus(known: Counts | None, more: Counts) -> Counts:
    return list(more) if known is None else [a + b for a, b in zip(known, more, strict=True)]
