"""What the pictures show, apart from how they are drawn. Pure.

Bars are drawn to eight times the gateway's own at most: one subject that is a hundred times as long would
leave nothing to see of the others. What is cut says so, and every bar has its figure beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import names
from benchmarks.figures import Summary, summary
from benchmarks.measured import Results

LONGEST = 8.0


@dataclass(frozen=True)
class Panel:
    """One metric under one workload, a bar for each subject."""

    title: str
    axis: str
    workload: str
    metric: str


@dataclass(frozen=True)
class Chart:
    """A picture: panels beside each other; `name` is its file's, `title` what is read out instead of it."""

    name: str
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Bar:
    """A subject, the spread of its rounds, and where its bar ends, in the metric's unit."""

    subject: str
    figure: Summary
    end: float

    @property
    def is_cut(self) -> bool:
        """Whether it is longer than it is drawn."""
        return self.end < self.figure.median

    @property
    def reach(self) -> float:
        """Up to where anything is drawn: the highest of the rounds, unless the bar is cut."""
        return self.end if self.is_cut else self.figure.high


CHARTS = (
    Chart(
        "cpu-per-event",
        "CPU time per streamed event",
        (
            Panel("32 streams at 50 events/s", "CPU, µs per event", names.PACED, "cpu_us"),
            Panel("full speed", "CPU, µs per event", names.FULL_SPEED, "cpu_us"),
        ),
    ),
    Chart(
        "cpu-per-request",
        "CPU time per request that is not streamed",
        (Panel("not streamed", "CPU, µs per request", names.CHAT, "cpu_us"),),
    ),
    Chart(
        "ttft",
        "Time to the first event (TTFT) of 32 requests that come at once",
        (Panel("32 arrivals at once", "TTFT p50, ms", names.ARRIVALS, "ttft_ms_p50"),),
    ),
    Chart(
        "delay",
        "Delay of a streamed event",
        (Panel("32 streams at 50 events/s", "sent to received, p99, ms", names.PACED, "delay_ms_p99"),),
    ),
    Chart(
        "footprint",
        "Memory and time to start",
        (
            Panel("memory of all processes after the load", "PSS, MB", names.MEMORY, "pss_mb"),
            Panel("start to the first 200", "s", names.BOOT, "boot_s"),
        ),
    ),
)
GROWTH = Chart("growth", "CPU time per event, by the number of streams at the same total rate", ())


def bars(results: Results, panel: Panel) -> list[Bar]:
    """A bar for each subject that was measured, the shortest first; ends as the module says."""
    result = results.by_workload.get(panel.workload)
    found = {name: summary(result.values(name, panel.metric)) for name in result.subjects} if result else {}
    known = {name: figure for name, figure in found.items() if figure is not None}
    ours = known.get(names.OURS)
    longest = LONGEST * ours.median if ours else float("inf")
    made = (Bar(name, figure, min(figure.median, longest)) for name, figure in known.items())
    return sorted(made, key=lambda bar: (bar.figure.median, bar.subject))


def lines(results: Results) -> dict[str, dict[int, Summary]]:
    """By subject and number of streams, the CPU time per event in µs; without subjects that have none."""
    found: dict[str, dict[int, Summary]] = {}
    for count, workload in names.GROWTH.items():
        result = results.by_workload.get(workload)
        for subject in result.subjects if result else ():
            figure = summary(results.values(workload, subject, "cpu_us"))
            if figure is not None:
                found.setdefault(subject, {})[count] = figure
    return found


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Rising places, those moved up that are nearer than `gap` to the one below."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    return moved


def drawn(results: Results) -> list[Chart]:
    """The pictures for which there is anything to draw, in their order."""
    charts = [chart for chart in CHARTS if any(bars(results, panel) for panel in chart.panels)]
    return [*charts[:1], GROWTH, *charts[1:]] if lines(results) else charts
