"""The tables of the page: usage, keys, recent errors; every cell is a text."""

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from app.accounts.reader import MEMORY
from app.keys.records import KeyRecord
from app.keys.shared import SharedKeys
from app.status_page.recent_errors import Failure
from app.status_page.texts import UNKNOWN, age, count, moment, money, seconds

MOST_ROWS = 100  # of a table; who has more keys looks into /admin/status and the usage


class Column(NamedTuple):
    """A heading, and how its cells are shown: `text`, `code`, `number` or `state`."""

    title: str
    kind: str = "text"


class Table(NamedTuple):
    """Rows of cells, and what to say where there are none or not all."""

    columns: tuple[Column, ...]
    rows: list[list[str]]
    note: str = ""


USAGE = (
    Column("Key"),
    Column("Model"),
    *(Column(title, "number") for title in ("Requests", "Errors", "Aborted", "Partial")),
    *(Column(title, "number") for title in ("Tokens in", "of them cached", "Tokens out", "GPU time", "Cost")),
)
KEYS = (
    *(Column("Name"), Column("Id", "code"), Column("State", "state")),
    *(Column("Scopes"), Column("Expires (UTC)"), Column("Last used (UTC)")),
)
ERRORS = (
    *(Column("Time (UTC)"), Column("Status", "state"), Column("Outcome", "code"), Column("Route", "code")),
    *(Column("Key"), Column("Took", "number"), Column("Request", "code")),
)


def usage_table(report: dict[str, Any]) -> Table:
    """Who used what, the busiest first, of a report of `app.accounts`; the idle time below it."""
    numbers = ("requests", "errors", "aborts", "partial_answers")
    tokens = ("prompt_tokens", "cached_tokens", "completion_tokens")
    rows = [
        [
            *(row["key"], row["model"] or UNKNOWN),
            *(count(row[name]) for name in (*numbers, *tokens)),
            *(seconds(row["gpu_seconds"]), money(row["cost"])),
        ]
        for row in report["rows"]
    ]
    table = _cut(USAGE, rows, "No key has been used in this month.")
    return table._replace(note=" ".join([table.note, *_describe_instances(report)]).strip())


def _describe_instances(report: dict[str, Any]) -> Iterable[str]:
    times, failure = report["instances"], report["source"]["failure"]
    idle, start = age(times["idle_seconds"]), age(times["startup_seconds"])
    yield f"Beside that the instances were idle for {idle} and starting for {start}"
    if report["price_per_hour"] is None:
        yield "(no GPU_PRICE_PER_HOUR is set)."
    else:
        idle_cost, start_cost = money(times["idle_cost"]), money(times["startup_cost"])
        yield f"({idle_cost} and {start_cost}), {money(times['cost'])} in all."
    if failure is not None:
        yield f"What is new is kept in memory only: {failure}."
    elif report["source"]["kept_in"] == MEMORY:
        yield "USAGE_DATABASE is off: this is one instance since it started."


def keys_table(keys: SharedKeys) -> Table:
    """Every key by name and id: never the key itself."""
    now = time.time()
    return _cut(KEYS, [_key_row(record, keys, now) for record in keys.ring.listed()], "There are no keys.")


def errors_table(failures: Iterable[Failure]) -> Table:
    """The latest requests that failed, the newest first."""
    rows = [
        [
            *(
                moment(each.at),
                str(each.status or UNKNOWN),
                each.outcome,
                f"{each.method} {each.route or UNKNOWN}",
            ),
            *(each.key_name or UNKNOWN, seconds(each.duration_ms / 1000), each.request_id),
        ]
        for each in failures
    ]
    return _cut(ERRORS, rows, "Nothing has failed since this instance started.")


def _key_row(record: KeyRecord, keys: SharedKeys, now: float) -> list[str]:
    used = keys.last_used(bytes.fromhex(record.digest))
    expires = "never" if record.expires is None else moment(record.expires)
    last = "not yet" if used is None else moment(used)
    scopes = ", ".join(record.scopes) or "none"
    return [record.name, record.key_id, record.state(now), scopes, expires, last]


def _cut(columns: tuple[Column, ...], rows: list[list[str]], empty: str) -> Table:
    left = len(rows) - MOST_ROWS
    note = empty if not rows else f"{left} more are not shown." if left > 0 else ""
    return Table(columns, rows[:MOST_ROWS], note)


def as_json(table: Table) -> dict[str, Any]:
    """What the page's script needs to show it again."""
    return {"rows": table.rows, "note": table.note}
