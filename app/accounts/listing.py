"""A report of usage for a terminal, and for a spreadsheet."""

import csv
import io
import re
from typing import Any

from app.counts import USAGE_COLUMNS
from app.logs import clean

SHOWN = {  # in a terminal: the column of a report, and its head
    "requests": "REQUESTS",
    "errors": "ERRORS",
    "aborts": "ABORTS",
    "partial_answers": "PARTIAL",
    "prompt_tokens": "PROMPT",
    "cached_tokens": "CACHED",
    "completion_tokens": "COMPLETION",
    "gpu_seconds": "GPU SECONDS",
    "cost": "COST",
}
LABELS = ("key", "model", "day")
# What a spreadsheet takes for a formula, also behind white space and in the wide forms of these characters.
FORMULA = re.compile(r"\s*[=+\-@|%\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
NOTHING = "–"


def as_table(report: dict[str, Any], by: tuple[str, ...]) -> str:
    """The rows and their totals in aligned columns, and below them the time that no key used."""
    heads = [*(label.upper() for label in by), *SHOWN.values()]
    body = [[*(_label(row[label]) for label in by), *_numbers(row)] for row in report["rows"]]
    total = ["TOTAL", *[""] * (len(by) - 1), *_numbers(report["totals"])]
    lines = _aligned([heads, *body, total], left=len(by))
    if report["is_cut"]:
        lines.append("There are more rows than are shown; the totals have them all.")
    return "\n".join([f"From {report['since']} to {report['until']}", "", *lines, "", *_notes(report)])


def as_csv(report: dict[str, Any], by: tuple[str, ...]) -> str:
    """The rows, one to a line; no name can become a formula."""
    text = io.StringIO()
    columns = [*by, *USAGE_COLUMNS, "cost"]
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(columns)
    for row in report["rows"]:
        writer.writerow([_harmless(row[column]) for column in columns])
    return text.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _aligned(table: list[list[str]], left: int) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if nth < left else cell.rjust(width)
            for nth, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]


def _notes(report: dict[str, Any]) -> list[str]:
    times, source = report["instances"], report["source"]
    parts = [
        f"{name} {times[f'{name}_seconds']:.0f} s{_money(times[f'{name}_cost'])}"
        for name in ("startup", "idle", "busy", "unattributed")
    ]
    since = f" since {source['kept_since']}" if source["kept_since"] else ""
    kept = f"Kept in {source['kept_in']}{since}"
    told = [f"Instances: {', '.join(parts)}; in all{_money(times['cost']) or ' without a price'}", kept]
    return [*told, f"Failing: {source['failure']}"] if source["failure"] else told


def _money(value: float | None) -> str:
    return "" if value is None else f" ({value:.2f})"


def _label(value: Any) -> str:
    return clean(str(value)) or NOTHING


def _numbers(row: dict[str, Any]) -> list[str]:
    return [_number(row[name]) for name in SHOWN]


def _number(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
