"""The guard: ratios of figures from one run, and how large each may be.

A ratio is the median over the rounds of one subject's figure by another's of the same round, so that
what the machine does meanwhile meets both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.figures import ratios, summary
from benchmarks.names import BARE_FLASK, NGINX, OURS, VLLM_ROUTER
from benchmarks.results import Figures
from tests.measure.figures import Row


@dataclass(frozen=True)
class Ratio:
    """Ours by another's, of one metric of one workload."""

    workload: str
    metric: str
    against: str


@dataclass(frozen=True)
class Bar:
    """How large a ratio is today, and by which share it differs from run to run without a change."""

    ratio: float
    noise: float

    @property
    def most(self) -> float:
        """Beyond this it has become worse."""
        return self.ratio * (1 + self.noise)


BARS: dict[Ratio, Bar] = {
    Ratio("chat", "cpu_us", BARE_FLASK): Bar(2.0, 0.25),
    Ratio("chat", "cpu_us", NGINX): Bar(22.3, 0.3),
    Ratio("full-speed", "cpu_us", NGINX): Bar(5.2, 0.4),
    Ratio("full-speed", "cpu_us", VLLM_ROUTER): Bar(0.26, 0.5),
    Ratio("paced-32", "cpu_us", NGINX): Bar(1.5, 0.35),
    Ratio("paced-32", "cpu_us", VLLM_ROUTER): Bar(1.1, 0.4),
}


def ratio_of(figures: Mapping[str, Figures], ratio: Ratio) -> float | None:
    """The median of the rounds that have both figures; None where none has."""
    measured = figures.get(ratio.workload)
    if measured is None:
        return None
    found = summary(ratios(measured.values(OURS, ratio.metric), measured.values(ratio.against, ratio.metric)))
    return found.median if found else None


def judge(figures: Mapping[str, Figures], bars: Mapping[Ratio, Bar] = BARS) -> list[Row]:
    """A row for each bar whose figures there are; answers that were wrong are a bar that is missed."""
    rows = []
    for ratio, bar in bars.items():
        value = ratio_of(figures, ratio)
        told = "not measured" if value is None else f"{value:.2f}"
        promise = f"{ratio.workload}: {ratio.metric}, {OURS} / {ratio.against}"
        rows.append(Row(promise, told, f"<= {bar.most:.2f}", value is not None and value <= bar.most))
    for name, measured in figures.items():
        wrong = measured.faults.get(OURS)
        if wrong:
            rows.append(Row(f"{name}: answers of {OURS}", f"{dict(wrong)}", "none wrong", False))
    return rows
