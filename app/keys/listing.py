"""A key file as people and scripts may see it: everything but the keys."""

import time
from typing import Any

from app.keys.changes import ENDING_CHARS, ending_of
from app.keys.key_file import members_of
from app.keys.records import ALLOW_EMPTY, KNOWN_FIELDS, EntryError, may_be_shown, read_entry
from app.logs import clean

HIDDEN = {"key", "digest"}
COLUMNS = ("name", "id", "state", "scopes", "expires", "ending", "note")


def describe_entries(entries: dict[str, Any]) -> list[dict[str, Any]]:
    """One object for each key: its fields without the key, what it is worth now, its last characters."""
    now = time.time()
    named = {name: entry for name, entry in entries.items() if name != ALLOW_EMPTY}
    return [_describe(label, name, entry, now) for label, name, entry in members_of(named)]


def _describe(label: str, name: str, entry: Any, now: float) -> dict[str, Any]:
    fields = entry if isinstance(entry, dict) else {"key": entry}
    try:
        record = read_entry(name, entry)
    except EntryError as error:
        shown = name if may_be_shown(name) else label
        return {"name": shown, "state": "not usable", "problem": str(error)}
    ending = ending_of(fields["key"]) if fields.get("key") else fields.get("ending")
    return {
        **{field: value for field, value in fields.items() if field in KNOWN_FIELDS - HIDDEN},
        "name": name,
        "id": record.key_id,
        "state": record.state(now),
        "scopes": list(record.scopes),
        "ending": str(ending)[-ENDING_CHARS:] if ending else None,
        "other_fields": len(fields.keys() - KNOWN_FIELDS),  # what is in them nobody knows
    }


def as_table(rows: list[dict[str, Any]]) -> str:
    """The rows in aligned columns, for a terminal; the expiry in UTC as the file has it."""
    cells = [
        [column.upper() for column in COLUMNS],
        *([_cell(row, name) for name in COLUMNS] for row in rows),
    ]
    widths = [max(len(line[nth]) for line in cells) for nth in range(len(COLUMNS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def _cell(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if value is None:
        return "–"
    if column == "ending":
        return f"…{clean(value)}"
    return clean(",".join(map(str, value)) if isinstance(value, list) else str(value)) or "–"
