"""The last hour of this instance: its sums every ten seconds, in a ring that all workers share.

One worker takes a sample, and any may read. Kept are sums, not rates: a rate or a percentile is what two
samples differ by, so a sample that is missing costs nothing but itself.
"""

import mmap
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import gevent

from app.counts import HISTOGRAMS, USAGE_COLUMNS, histogram
from app.gpu_time import GpuTime
from app.instance import Instance
from app.load import Load
from app.status_page.percentiles import SHARES, between, percentile

STEP_SECONDS = 10
SAMPLES = 372  # an hour, and the minute before it
WINDOW_SAMPLES = 6  # rates and percentiles are those of the minute before
TICK_SECONDS = 1.0
FIRST_BYTE, INTER_TOKEN = HISTOGRAMS["first_byte"], HISTOGRAMS["inter_token"]
COUNTED = ("requests", "errors", "prompt_tokens", "completion_tokens")  # of usage; then the busy seconds
TOTALS = len(COUNTED) + 1
PLAIN = TOTALS + 3  # numbers of a sample before its histograms: also its time and what is in flight
COLUMNS = PLAIN + len(FIRST_BYTE) + 1 + len(INTER_TOKEN) + 1


class Sample(NamedTuple):
    """What had been counted by a moment (CLOCK_MONOTONIC seconds), and what was in flight at it."""

    at: float
    in_flight: float
    at_upstream: float
    totals: list[float]
    first_byte: list[float]
    inter_token: list[float]


class Point(NamedTuple):
    """What happened before a sample: each second, in seconds, or as a share of 1; None for unknown."""

    in_flight: float
    at_upstream: float
    requests: float
    errors: float
    prompt_tokens: float
    completion_tokens: float
    busy: float
    first_byte: list[float | None]
    inter_token: list[float | None]


class History:
    """Takes samples and reads them; make it before the fork."""

    def __init__(self, instance: Instance, load: Load, gpu_time: GpuTime) -> None:
        self._instance = instance
        self._load = load
        self._gpu_time = gpu_time
        self._cells = memoryview(mmap.mmap(-1, 8 * COLUMNS * SAMPLES)).cast("d")

    def run(self) -> None:
        """The duty of one worker, for ever; start it in a greenlet after the fork."""
        while True:
            if self._instance.claim("sample_due", STEP_SECONDS):
                self.store(self.measure())
            gevent.sleep(TICK_SECONDS)

    def measure(self) -> Sample:
        """The sums of this moment."""
        instance = self._instance
        usage = _sums(instance.usage.sums(instance.slots_used).values(), len(USAGE_COLUMNS))
        rows = instance.latencies.sums(instance.slots_used).values()
        return Sample(
            time.monotonic(),
            self._load.requests,
            sum(instance.at_upstream[: instance.slots_used]),
            [*(usage[USAGE_COLUMNS.index(name)] for name in COUNTED), self._gpu_time.busy_seconds()],
            _sums((histogram(row, "first_byte")[0] for row in rows), len(FIRST_BYTE) + 1),
            _sums((histogram(row, "inter_token")[0] for row in rows), len(INTER_TOKEN) + 1),
        )

    def store(self, sample: Sample) -> None:
        """Put it in its place, which its time decides: two workers cannot store different ones there."""
        start = COLUMNS * (step_of(sample.at) % SAMPLES)
        counted = (sample.in_flight, sample.at_upstream, *sample.totals)
        self._cells[start] = 0.0  # who reads it half-way sees none
        for place, value in enumerate((*counted, *sample.first_byte, *sample.inter_token), start + 1):
            self._cells[place] = value
        self._cells[start] = sample.at

    def samples(self, now: float, since: int = 0) -> list[Sample]:
        """Those that are kept from the step `since` on, the oldest first."""
        last, end = step_of(now), PLAIN + len(FIRST_BYTE) + 1
        found = []
        for step in range(max(since, last - SAMPLES + 1), last + 1):
            start = COLUMNS * (step % SAMPLES)
            row: list[float] = list(self._cells[start : start + COLUMNS])
            if row[0] and step_of(row[0]) == step:
                found.append(Sample(row[0], row[1], row[2], row[3:PLAIN], row[PLAIN:end], row[end:]))
        return found

    def points(self, since: int) -> Iterator[tuple[int, Point]]:
        """For each sample behind the step `since` that has one before it: its step, and what led to it."""
        kept = self.samples(time.monotonic(), since - WINDOW_SAMPLES)
        first = 0
        for index, sample in enumerate(kept):
            while sample.at - kept[first].at > STEP_SECONDS * (WINDOW_SAMPLES + 0.5):
                first += 1
            if first < index and step_of(sample.at) > since:
                yield step_of(sample.at), lead(kept[first], sample)

    def now(self) -> Point:
        """What holds at this moment and in the minute before it, or since the first sample."""
        sample = self.measure()
        before = self.samples(sample.at, step_of(sample.at) - WINDOW_SAMPLES)
        return lead(before[0] if before else sample, sample)


def step_of(at: float) -> int:
    """The number of the ten seconds that a moment lies in."""
    return int(at // STEP_SECONDS)


def lead(earlier: Sample, later: Sample) -> Point:
    """What happened between two samples."""
    seconds = max(later.at - earlier.at, 0.001)
    totals = between(earlier.totals, later.totals)
    requests, errors, prompt_tokens, completion_tokens, busy = (total / seconds for total in totals)
    first_byte = between(earlier.first_byte, later.first_byte)
    inter_token = between(earlier.inter_token, later.inter_token)
    return Point(
        later.in_flight,
        later.at_upstream,
        requests,
        errors,
        prompt_tokens,
        completion_tokens,
        min(1.0, busy),
        [percentile(FIRST_BYTE, first_byte, share) for share in SHARES],
        [percentile(INTER_TOKEN, inter_token, share) for share in SHARES],
    )


def _sums(rows: Iterable[list[float]], columns: int) -> list[float]:
    total = [0.0] * columns
    for row in rows:
        total = [a + b for a, b in zip(total, row, strict=True)]
    return total
