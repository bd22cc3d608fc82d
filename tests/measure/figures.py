"""Rows of a table: a promise, the figure that was measured, the bar, and whether it is met."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEADINGS = ("promise", "figure", "bar", "met")


@dataclass(frozen=True)
class Row:
    """One figure; without a bar it is only told."""

    promise: str
    figure: str
    bar: str = ""
    is_met: bool | None = None

    def cells(self) -> tuple[str, str, str, str]:
        """The row as words."""
        verdict = {None: "", True: "yes", False: "NO"}[self.is_met]
        return self.promise, self.figure, self.bar, verdict


def at_most(promise: str, value: float, bar: float, unit: str) -> Row:
    """A figure that may not be larger than its bar."""
    return Row(promise, f"{value:,.4g} {unit}", f"<= {bar:g} {unit}", value <= bar)


def all_of(promise: str, count: int, total: int) -> Row:
    """So many of so many, where it has to be all, and there has to be something at all."""
    return Row(promise, f"{count} of {total}", "all", count == total > 0)


def none_of(promise: str, count: int, total: int) -> Row:
    """So many of so many, where it has to be none, and there has to be something at all."""
    return Row(promise, f"{count} of {total}", "none", count == 0 < total)


def percentile(values: Sequence[float], percent: int) -> float:
    """That percentile of at least two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def milliseconds(values: Sequence[float], percents: Iterable[int] = (50, 99)) -> str:
    """Percentiles and the maximum of values in seconds, in words."""
    parts = [f"p{percent} {1000 * percentile(values, percent):.2f}" for percent in percents]
    return f"{', '.join(parts)}, max {1000 * max(values):.2f} ms"


def table(rows: Sequence[Row]) -> str:
    """The rows under their headings, in columns."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )
    return "".join(line.rstrip() + "\n" for line in padded)
