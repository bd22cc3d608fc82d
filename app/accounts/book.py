"""What is written into a database of usage, exactly once, and what is read from it.

An instance's counts only grow, and the database knows how much of them it has. A write adds the difference to
the hour in which it is made and notes the new totals, in one transaction. So a writer that dies, or two at
once, never count anything twice; and what one of them could not write, the next one does.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.accounts import tables
from app.accounts.database import Session
from app.accounts.tables import TIME_COLUMNS
from app.counts import USAGE_COLUMNS
from app.shared_table import Labels

HOUR, DAY = 3600, 86400
MOST_ROWS = 10_000  # of one report
FORGET_SECONDS = 30 * DAY  # after so long without a write an instance is gone, however it ended
GPU_SECONDS = USAGE_COLUMNS.index("gpu_seconds")
GROUPS = {"key": "key_name", "model": "model", "day": f"hour - hour % {DAY}"}
Counts = list[float]


class InstanceTime(NamedTuple):
    """What an instance did with its time so far, in seconds: it is busy or idle while it is ready."""

    startup: float = 0.0
    ready: float = 0.0
    busy: float = 0.0


@dataclass(frozen=True, slots=True)
class Totals:
    """All that an instance has counted since it began: by (key name, model), and its time."""

    usage: dict[Labels, Counts] = field(default_factory=dict)
    time: InstanceTime = InstanceTime()

    def less(self, written: "Totals") -> "Totals":
        """What has grown since these were written; a row that has not is left out."""
        grown = {}
        for labels, counts in self.usage.items():
            known = written.usage.get(labels) or [0.0] * len(counts)
            if counts != known:
                grown[labels] = [max(0.0, a - b) for a, b in zip(counts, known, strict=True)]
        time = (max(0.0, a - b) for a, b in zip(self.time, written.time, strict=True))
        return Totals(grown, InstanceTime(*time))


@dataclass(frozen=True, slots=True)
class Span:
    """Whole hours, in seconds since the epoch: from `since` on, up to `until`."""

    since: int
    until: int

    def has(self, moment: float) -> bool:
        """Whether this moment is in it."""
        return self.since <= moment < self.until


@dataclass(slots=True)
class Found:
    """What a database has of a span; `written` is what it has of the instance that asks, ever."""

    rows: dict[tuple[Any, ...], Counts] = field(default_factory=dict)
    totals: Counts = field(default_factory=lambda: [0.0] * len(USAGE_COLUMNS))
    time: InstanceTime = InstanceTime()
    kept_since: int | None = None
    written: Totals = field(default_factory=Totals)


def write_totals(session: Session, instance: str, totals: Totals, *, now: float, is_last: bool) -> None:
    """Have the database know these totals of an instance; after its last ones it takes no more."""
    session.run(tables.ENTER, instance=instance, now=int(now))
    has_ended, *time = session.run(tables.GET_INSTANCE, instance=instance)[0]
    if has_ended:
        return
    written = Totals(_read_written(session, instance), InstanceTime(*time))
    grown = totals.less(written)
    hour = int(now) // HOUR * HOUR
    # In one order, so that instances that write the same rows at once wait for each other and no more.
    labels = sorted(grown.usage)
    session.run_many(tables.ADD_USAGE, [_row(each, grown.usage[each], hour=hour) for each in labels])
    session.run(tables.ADD_TIME, hour=hour, **_time_fields(grown.time))
    if is_last:
        session.run(tables.DROP_WRITTEN, instance=instance)
    else:
        now_known = [_row(each, _higher(totals, written, each), instance=instance) for each in labels]
        session.run_many(tables.SET_WRITTEN, now_known)
    known = InstanceTime(*map(max, totals.time, written.time))
    session.run(tables.SET_INSTANCE, instance=instance, has_ended=int(is_last), **_time_fields(known))


def forget_old(session: Session, *, now: float) -> None:
    """Drop what is known of instances that have written nothing for a long time; their usage stays."""
    before = int(now - FORGET_SECONDS)
    session.run(tables.DROP_OLD_WRITTEN, before=before)
    session.run(tables.DROP_OLD_INSTANCES, before=before)


def read_span(session: Session, span: Span, groups: tuple[str, ...], *, instance: str) -> Found:
    """What all instances have written: at most MOST_ROWS rows, those that used most first, and one more."""
    bounds = {"since": span.since, "until": span.until}
    places = ", ".join(GROUPS[group] for group in groups)
    order = f"GROUP BY {places} ORDER BY SUM(gpu_seconds) DESC LIMIT {MOST_ROWS + 1}"
    found = session.run(f"SELECT {places}, {_SUMS} FROM gateway_usage {_WITHIN} {order}", **bounds)  # noqa: S608
    width = len(groups)
    [totals] = session.run(f"SELECT {_SUMS} FROM gateway_usage {_WITHIN}", **bounds)  # noqa: S608
    [time] = session.run(f"SELECT {_TIME_SUMS} FROM gateway_time {_WITHIN}", **bounds)  # noqa: S608
    [[kept_since]] = session.run("SELECT MIN(hour) FROM gateway_time")
    own = session.run(tables.GET_INSTANCE, instance=instance)
    return Found(
        rows={tuple(row[:width]): list(row[width:]) for row in found},
        totals=list(totals),
        time=InstanceTime(*time),
        kept_since=kept_since,
        written=Totals(
            _read_written(session, instance), InstanceTime(*own[0][1:]) if own else InstanceTime()
        ),
    )


def _read_written(session: Session, instance: str) -> dict[Labels, Counts]:
    rows = session.run(tables.GET_WRITTEN, instance=instance)
    return {(key_name, model): list(counts) for key_name, model, *counts in rows}


def _higher(totals: Totals, written: Totals, labels: Labels) -> Counts:
    """Two writers at once: the one that looked earlier must not take back what the other has written."""
    counts = totals.usage[labels]
    return list(map(max, counts, written.usage.get(labels, counts)))


def _row(labels: Labels, counts: Counts, **place: Any) -> dict[str, Any]:
    values = zip(USAGE_COLUMNS, counts, strict=True)
    numbers = {name: value if name.endswith("_seconds") else int(value) for name, value in values}
    return {**dict(zip(tables.LABELS, labels, strict=True)), **numbers, **place}


def _time_fields(time: InstanceTime) -> dict[str, float]:
    return dict(zip(TIME_COLUMNS, time, strict=True))


def _sums(columns: tuple[str, ...]) -> str:
    # PostgreSQL's sums of whole numbers have no bound, which is of no use here.
    kinds = {name: "DOUBLE PRECISION" if name.endswith("_seconds") else "BIGINT" for name in columns}
    return ", ".join(f"CAST(COALESCE(SUM({name}), 0) AS {kind})" for name, kind in kinds.items())


_SUMS, _TIME_SUMS = _sums(USAGE_COLUMNS), _sums(TIME_COLUMNS)
_WITHIN = "WHERE hour >= :since AND hour < :until"
