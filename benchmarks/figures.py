"""Medians, their spread, and comparisons round by round. Pure.

A metric is one value a round, None where a round has none. What is compared was measured in the same round: a
machine that is slow for a minute is slow for both.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.measure.figures import percentile

Values = Sequence[float | None]

DIGITS = 3
MOST_DECIMALS = 3


@dataclass(frozen=True)
class Summary:
    """The median of the rounds between the lowest and the highest, in the metric's own unit."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """As tables show it."""
        return f"{number(self.median)} ({number(self.low)} to {number(self.high)})"


def number(value: float) -> str:
    """A value with three digits that count, whole from 100 on: 1,234, 12.3, 0.046."""
    if value == 0:
        return "0"
    decimals = DIGITS - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(decimals, 0), MOST_DECIMALS)}f}"


def summary(values: Iterable[float | None]) -> Summary | None:
    """Median, lowest and highest of the rounds that have a value; None where no round has one."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    return Summary(statistics.median(known), min(known), max(known)) if known else None


def ratios(values: Values, others: Values) -> list[float | None]:
    """`values` ÷ `others`, round by round; None where either has none, or there is nothing to divide by."""
    pairs = zip(values, others, strict=False)
    return [None if value is None or not other else value / other for value, other in pairs]


def differences(values: Values, others: Values) -> list[float | None]:
    """`values` - `others`, round by round; None where either has none."""
    pairs = zip(values, others, strict=False)
    return [None if value is None or other is None else value - other for value, other in pairs]


def total(values: Values) -> float:
    """The sum over the rounds: of what is counted, not timed."""
    return sum(value for value in values if value is not None)


def in_milliseconds(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """`<name>_ms_p50` and `_p99` of times; nothing where there are fewer than two."""
    if len(seconds) < 2:
        return {}
    return {f"{name}_ms_p{percent}": 1000 * percentile(seconds, percent) for percent in (50, 99)}
