"""Percentiles of what fell into the buckets of a histogram."""

from collections.abc import Sequence

SHARES = (0.5, 0.95, 0.99)


def percentile(bounds: Sequence[float], counts: Sequence[float], share: float) -> float | None:
    """The value below which `share` (0 to 1) of all that was counted lies; None where nothing was.

    `counts` has one number for each upper bound and a last one for what is above all of them. Within a bucket
    all values are taken to lie evenly, so the answer is in the bucket of the true one; what is above the last
    bound counts as that bound.
    """
    rank, seen, lower = share * sum(counts), 0.0, 0.0
    for upper, count in zip(bounds, counts, strict=False):
        if count > 0 and seen + count >= rank:
            return lower + (upper - lower) * max(0.0, rank - seen) / count
        seen += count
        lower = upper
    return bounds[-1] if sum(counts) > 0 else None


def between(earlier: Sequence[float], later: Sequence[float]) -> list[float]:
    """What was counted from one moment to the next; never less than nothing."""
    return [max(0.0, after - before) for before, after in zip(earlier, later, strict=True)]
