"""What the gateway is to reach, and whether the results say that it does.

A bar is held against the median of the rounds. Where a subject in it gave a wrong answer, it is not met.
"""

import operator
from dataclasses import dataclass

from benchmarks import names
from benchmarks.figures import Values, differences, ratios, summary
from benchmarks.measured import Results
from tests.measure.figures import Row

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Quantity:
    """A metric of a subject under a workload; `is_added`: what is left without that of no proxy at all."""

    workload: str
    metric: str
    subject: str = names.OURS
    is_added: bool = False

    def values(self, results: Results) -> Values:
        """One value a round; none at all where that was not measured."""
        values = results.values(self.workload, self.subject, self.metric)
        if not self.is_added:
            return values
        return differences(values, results.values(self.workload, names.DIRECT, self.metric))

    def has_errors(self, results: Results) -> bool:
        """Whether a subject that this rests on gave a wrong answer."""
        subjects = (self.subject, names.DIRECT) if self.is_added else (self.subject,)
        return any(results.has_errors(self.workload, subject) for subject in subjects)


@dataclass(frozen=True)
class Target:
    """A bar in `unit` for a quantity, or for that quantity ÷ another; a ceiling unless it is a floor."""

    what: str
    bar: float
    unit: str
    quantity: Quantity
    other: Quantity | None = None
    is_floor: bool = False

    def judge(self, results: Results) -> Row:
        """The figure beside its bar."""
        bar = f"{'≥' if self.is_floor else '≤'} {self.bar:.3g} {self.unit}"
        figure = summary(self._values(results))
        if figure is None:
            return Row(self.what, NOT_MEASURED, bar)
        if self._has_errors(results):
            return Row(self.what, f"{figure} {self.unit}, with errors", bar, is_met=False)
        is_reached = operator.ge if self.is_floor else operator.le
        return Row(self.what, f"{figure} {self.unit}", bar, is_reached(figure.median, self.bar))

    def _values(self, results: Results) -> Values:
        values = self.quantity.values(results)
        return values if self.other is None else ratios(values, self.other.values(results))

    def _has_errors(self, results: Results) -> bool:
        return any(quantity.has_errors(results) for quantity in (self.quantity, self.other) if quantity)


def _cpu_over(other: str, bar: float, what: str, workload: str) -> Target:
    """The gateway's CPU time for a unit of work ÷ another subject's."""
    ours, theirs = (Quantity(workload, "cpu_us", subject) for subject in (names.OURS, other))
    return Target(f"{what} ÷ {other}", bar, "×", ours, theirs)


def _growth(bar: float, few: int, many: int) -> Target:
    """How much more an event costs the gateway with many streams than with few."""
    what = f"CPU per event, {many} streams ÷ {few} streams at the same total rate"
    with_many, with_few = (Quantity(names.GROWTH[count], "cpu_us") for count in (many, few))
    return Target(what, bar, "×", with_many, with_few)


_TTFT = Quantity(names.ARRIVALS, "ttft_ms_p50", is_added=True)
_TTFT_OF_FASTAPI = Quantity(names.ARRIVALS, "ttft_ms_p50", names.FASTAPI, is_added=True)
_TTFT_KEPT = Quantity(names.ARRIVALS_KEPT, "ttft_ms_p50", is_added=True)
_DELAY = Quantity(names.PACED, "delay_ms_p99", is_added=True)
_THROUGH, _WITHOUT = (Quantity(names.REAL_VLLM, "rate", subject) for subject in (names.OURS, names.DIRECT))
_AT_REST, _LOADED = (Quantity(workload, "pss_worker_mb") for workload in (names.BOOT, names.MEMORY))

TARGETS = (
    _cpu_over(names.VLLM_ROUTER, 1.25, "CPU per event, 32 paced streams", names.PACED),
    _cpu_over(names.NGINX, 2, "CPU per event, 32 paced streams", names.PACED),
    _cpu_over(names.VLLM_ROUTER, 1, "CPU per event, full speed", names.FULL_SPEED),
    _cpu_over(names.VLLM_ROUTER, 1, "CPU per event, full speed, one write an event", names.WRITES),
    _growth(1.3, few=8, many=512),
    _cpu_over(names.BARE_FLASK, 2.5, "CPU per non-streamed request", names.CHAT),
    _cpu_over(names.FASTAPI, 1 / 4, "CPU per non-streamed request", names.CHAT),
    Target("Added TTFT p50, 32 simultaneous arrivals on new connections", 12, "ms", _TTFT),
    Target("Added TTFT p50, 32 simultaneous arrivals on kept connections", 12, "ms", _TTFT_KEPT),
    Target(
        f"Added TTFT p50, 32 simultaneous arrivals ÷ {names.FASTAPI}", 1 / 3, "×", _TTFT, _TTFT_OF_FASTAPI
    ),
    Target("Added inter-event delay p99, 32 paced streams", 3, "ms", _DELAY),
    Target("Throughput of the real vLLM, through ÷ direct", 0.97, "×", _THROUGH, _WITHOUT, is_floor=True),
    Target("Memory of a worker (PSS, file key store), before any load", 45, "MB", _AT_REST),
    Target("Memory of a worker (PSS, file key store), after the load", 45, "MB", _LOADED),
    Target("Boot to the first 200 on `/health/live`", 0.8, "s", Quantity(names.BOOT, "boot_s")),
)


def judge(results: Results) -> list[Row]:
    """Every target beside what the results say."""
    return [target.judge(results) for target in TARGETS]
