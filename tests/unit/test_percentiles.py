"""A percentile out of buckets is in the bucket of the true one."""

import math
from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from app.counts import HISTOGRAMS
from app.status_page.percentiles import SHARES, between, percentile

BOUNDS = HISTOGRAMS["first_byte"]
values = st.lists(st.floats(0.0001, 500), min_size=1, max_size=60)
shares = st.sampled_from(SHARES) | st.floats(0.01, 1)


def counts_of(seconds: list[float]) -> list[float]:
    counts = [0.0] * (len(BOUNDS) + 1)
    for value in seconds:
        counts[bisect_left(BOUNDS, value)] += 1
    return counts


@given(values, shares)
def test_it_is_in_the_bucket_of_the_true_one(seconds: list[float], share: float) -> None:
    rank = max(1, math.ceil(share * len(seconds) - 1e-9))
    bucket = bisect_left(BOUNDS, sorted(seconds)[rank - 1])

    found = percentile(BOUNDS, counts_of(seconds), share)

    lower = BOUNDS[bucket - 1] if bucket else 0.0
    upper = BOUNDS[min(bucket, len(BOUNDS) - 1)]
    assert found is not None
    assert min(lower, upper) <= found <= upper


@given(values, shares, shares)
def test_a_larger_share_is_never_below_a_smaller_one(seconds: list[float], one: float, other: float) -> None:
    small, large = sorted((one, other))
    counts = counts_of(seconds)

    assert (percentile(BOUNDS, counts, small) or 0) <= (percentile(BOUNDS, counts, large) or 0) + 1e-9


def test_of_nothing_there_is_none() -> None:
    assert percentile(BOUNDS, [0.0] * (len(BOUNDS) + 1), 0.5) is None


def test_values_lie_evenly_in_their_bucket() -> None:
    assert percentile((1.0, 2.0), [0, 4, 0], 0.5) == 1.5


def test_what_is_above_every_bound_counts_as_the_last() -> None:
    assert percentile((1.0, 2.0), [0, 0, 5], 0.5) == 2.0


@given(values, values)
def test_between_two_moments_lies_what_came_after_the_first(before: list[float], after: list[float]) -> None:
    earlier, later = counts_of(before), counts_of(before + after)

    assert between(earlier, later) == counts_of(after)
    assert sum(between(later, earlier)) == 0
