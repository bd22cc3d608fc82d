"""The tables of the page: usage, keys, recent errors; every cell is a text."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from app.counts import USAGE_COLUMNS
from app.instance import Instance
from app.keys.records import KeyRecord
from app.keys.shared import SharedKeys
from app.status_page.recent_errors import Failure
from app.status_page.texts import count, moment, seconds

MOST_ROWS = 100  # of a table; who has more keys looks into /admin/status and the usage

Usage = tuple[str, str, Sequence[float]]


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
    *(Column(title, "number") for title in ("Tokens in", "of them cached", "Tokens out", "GPU time")),
)
KEYS = (
    *(Column("Name"), Column("Id", "code"), Column("State", "state")),
    *(Column("Scopes"), Column("Expires (UTC)"), Column("Last used (UTC)")),
)
ERRORS = (
    *(Column("Time (UTC)"), Column("Status", "state"), Column("Outcome", "code"), Column("Route", "code")),
    *(Column("Key"), Column("Took", "number"), Column("Request", "code")),
)


def read_usage(instance: Instance) -> Iterable[Usage]:
    """Key name, model and the numbers of USAGE_COLUMNS, of this instance since its start."""
    for (name, model), values in instance.usage.sums(instance.slots_used).items():
        yield name, model, values


def usage_table(usage: Iterable[Usage]) -> Table:
    """Who used what; the busiest first."""
    at = {name: index for index, name in enumerate(USAGE_COLUMNS)}
    numbers = ("requests", "errors", "aborts", "partial_answers")
    tokens = ("prompt_tokens", "cached_tokens", "completion_tokens")
    rows = [
        [
            *(name, model or "–"),
            *(count(values[at[column]]) for column in (*numbers, *tokens)),
            seconds(values[at["gpu_seconds"]]),
        ]
        for name, model, values in sorted(usage, key=lambda each: -each[2][at["gpu_seconds"]])
    ]
    return _cut(USAGE, rows, "No key has been used since this instance started.")


def keys_table(keys: SharedKeys) -> Table:
    """Every key by name and id: never the key itself."""
    records = sorted(keys.ring.by_digest.values(), key=lambda record: (record.name, record.key_id))
    now = time.time()
    return _cut(KEYS, [_key_row(record, keys, now) for record in records], "There are no keys.")


def errors_table(failures: Iterable[Failure]) -> Table:
    """The latest requests that failed, the newest first."""
    rows = [
        [
            *(moment(each.at), str(each.status or "–"), each.outcome, f"{each.method} {each.route or '–'}"),
            *(each.key_name or "–", seconds(each.duration_ms / 1000), each.request_id),
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
