"""The pictures of the report: docs/benchmarks/*.svg, with matplotlib. The same results give the same bytes.

Text stays text: small files. The background is white, on light pages and on dark ones. The colours
are close to those of Okabe and Ito, which all kinds of colour vision tell apart, and dark enough to write in.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmarks import names
from benchmarks.charts import GROWTH, Bar, Chart, Panel, apart, bars, drawn, lines
from benchmarks.figures import Summary, number
from benchmarks.measured import Results, load
from benchmarks.report import DOCUMENT, PICTURES

FOLDER = DOCUMENT.parent / PICTURES
WIDTH = 8.0  # inches
BAR_HEIGHT = 0.3
LABEL_HEIGHT = 0.045  # of the axis

OURS = "#0072B2"
OTHERS = "#BFC5CC"
INK = "#222222"
FAINT = "#777777"
LINES = ("#C44E00", "#00805D", "#A84C86", "#A87500", "#6B6B6B", "#000000", "#7A4A2B", "#3A5A00")
MARKERS = "osD^vP*X"

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "benchmarks",
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(results: Results, folder: Path = FOLDER) -> None:
    """Every picture for which there are results; those for which there are none any more are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for chart in drawn(results):
        with mpl.rc_context(STYLE):
            figure = _growth(results) if chart is GROWTH else _panels(results, chart)
            figure.savefig(folder / f"{chart.name}.svg", metadata={"Date": None, "Title": chart.title})


def _panels(results: Results, chart: Chart) -> Figure:
    """The panels that have bars, beside each other."""
    filled = [(panel, found) for panel in chart.panels if (found := bars(results, panel))]
    most = max(len(found) for _, found in filled)
    figure = Figure(figsize=(WIDTH, BAR_HEIGHT * most + 0.9), layout="constrained")
    for axes, (panel, found) in zip(figure.subplots(1, len(filled), squeeze=False)[0], filled, strict=True):
        _draw_bars(axes, panel, found)
    return figure


def _draw_bars(axes: Axes, panel: Panel, found: Sequence[Bar]) -> None:
    """A horizontal bar for each subject, the shortest on top, with lowest and highest and its figure."""
    longest = max(bar.reach for bar in found)
    for place, bar in enumerate(found):
        axes.barh(place, bar.end, height=0.68, color=OURS if bar.subject == names.OURS else OTHERS)
        _label(axes, place, bar, longest)
    axes.set_yticks(range(len(found)), [bar.subject for bar in found])
    for tick, bar in zip(axes.get_yticklabels(), found, strict=True):
        tick.set_fontweight("bold" if bar.subject == names.OURS else "normal")
    axes.set_xlim(0, 1.2 * longest)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.axis)


def _label(axes: Axes, place: int, bar: Bar, longest: float) -> None:
    """The bar's figure: behind it, or inside with an arrow where it is cut."""
    words = number(bar.figure.median)
    if bar.is_cut:
        axes.text(0.98 * bar.end, place, f"{words} →", ha="right", va="center", fontweight="bold")
        return
    axes.hlines(place, bar.figure.low, bar.figure.high, color=INK, linewidth=1.2)
    axes.text(bar.reach + 0.012 * longest, place, words, ha="left", va="center")


def _growth(results: Results) -> Figure:
    """A line for each subject; both axes are logarithmic: equal slope is equal growth."""
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = figure.subplots()
    found = lines(results)
    looks = iter(zip(LINES, MARKERS, strict=True))
    colors = {}
    for subject in sorted(found):
        color, marker = (OURS, "o") if subject == names.OURS else next(looks)
        _draw_line(axes, found[subject], color, marker, 2.8 if subject == names.OURS else 1.3)
        colors[subject] = color
    axes.set(
        xscale="log", yscale="log", xlabel="streams, together 1,600 events/s", ylabel="CPU, µs per event"
    )
    axes.set_xticks(list(names.GROWTH), [str(count) for count in names.GROWTH])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.minorticks_off()
    axes.grid(axis="y", color=OTHERS, linewidth=0.5)
    _name_lines(axes, found, colors)
    return figure


def _draw_line(axes: Axes, points: Mapping[int, Summary], color: str, marker: str, width: float) -> None:
    """The medians, with the lowest and highest of the rounds."""
    figures = points.values()
    below = [figure.median - figure.low for figure in figures]
    above = [figure.high - figure.median for figure in figures]
    medians = [figure.median for figure in figures]
    axes.errorbar(
        list(points), medians, (below, above), color=color, marker=marker, linewidth=width, capsize=2
    )


def _name_lines(axes: Axes, found: Mapping[str, Mapping[int, Summary]], colors: Mapping[str, str]) -> None:
    """Each subject's name behind the end of its line, apart from its neighbours'."""
    ends = sorted((math.log(list(points.values())[-1].median), name) for name, points in found.items())
    low, high = map(math.log, axes.get_ylim())
    heights = apart([end for end, _ in ends], LABEL_HEIGHT * (high - low))
    for height, (_, name) in zip(heights, ends, strict=True):
        weight = "bold" if name == names.OURS else "normal"
        axes.text(
            1.02,
            (height - low) / (high - low),
            name,
            transform=axes.transAxes,
            color=colors[name],
            fontweight=weight,
            va="center",
        )


if __name__ == "__main__":
    draw(load())
