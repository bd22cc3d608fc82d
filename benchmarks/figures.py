"""Figures of many values, computed in one place for what is measured, guarded and told."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.measure.figures import percentile


@dataclass(frozen=True)
class Summary:
    """What several rounds say of one figure."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """How far the rounds lie apart, as a share of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


def summary(rounds: Iterable[float | None]) -> Summary | None:
    """Median, least and most of the rounds that have a value; None where none has."""
    values = [value for value in rounds if value is not None and not math.isnan(value)]
    if not values:
        return None
    return Summary(statistics.median(values), min(values), max(values))


def in_milliseconds(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """`<name>_ms_p50` and `_p99` of times; nothing where there are fewer than two."""
    if len(seconds) < 2:
        return {}
    return {f"{name}_ms_p{percent}": 1000 * percentile(seconds, percent) for percent in (50, 99)}
