"""The tables of the report, as Markdown."""

from collections.abc import Iterable, Sequence

from benchmarks import names
from benchmarks.figures import Values, number, ratios, summary, total
from benchmarks.measured import Result, Results
from benchmarks.targets import NOT_MEASURED, judge

NOTHING = "–"
MARK = "⚠"
CPU = "cpu_us"
RATE = "rate"

# In this order; a metric without a heading comes behind them, under its own name.
HEADINGS = {
    CPU: "CPU, µs per {unit}",
    RATE: "{unit}s per second",
    "requests_per_s": "requests per second",
    "latency_ms_p50": "latency p50, ms",
    "latency_ms_p99": "latency p99, ms",
    "ttft_ms_p50": "TTFT p50, ms",
    "ttft_ms_p99": "TTFT p99, ms",
    "delay_ms_p50": "delay p50, ms",
    "delay_ms_p99": "delay p99, ms",
    "itl_ms_p50": "inter-token latency p50, ms",
    "itl_ms_p99": "inter-token latency p99, ms",
    "abort_ms_p50": "abort p50, ms",
    "abort_ms_p99": "abort p99, ms",
    "abort_ms_max": "abort longest, ms",
    "boot_s": "boot, s",
    "pss_mb": "memory, MB",
    "pss_worker_mb": "memory of a worker, MB",
    "missed": "missed",
    "errors": "errors",
}
COUNTED = ("missed", "errors")
RIG = ("client_cpu_us", "upstream_cpu_us")


def targets(results: Results) -> str:
    """Every target, what was measured, and whether it is met."""
    rows = []
    for row in judge(results):
        what, figure, bar, verdict = row.cells()
        rows.append((what, bar, figure, "**NO**" if row.is_met is False else verdict or NOTHING))
    return _table(("what", "target", "measured", "met"), rows)


def subjects(results: Results) -> str:
    """Every subject with its version and how it is set up, those that were not measured included."""
    versions = {name: version for result in results for name, version in result.versions.items()}
    measured = {name for result in results for name in result.subjects}
    rows = []
    for name in in_order({*names.SUBJECTS, *measured}, names.SUBJECTS):
        version = versions.get(name, NOTHING) if name in measured else NOT_MEASURED
        rows.append((_emphasised(name), version, names.SUBJECTS.get(name, NOTHING)))
    others = ", ".join(f"{name} {versions[name]}" for name in sorted(versions.keys() - names.SUBJECTS))
    return _table(("subject", "version", "how it is set up"), rows) + (
        f"\n\nWith {others}." if others else ""
    )


def workload(result: Result) -> str:
    """Every subject's metrics under one workload; the first that there is to compare is compared as well."""
    metrics = _metrics(result)
    if not metrics:
        return f"{NOT_MEASURED.capitalize()}."
    compared = next((metric for metric in metrics if _subjects_with(result, metric) > 1), metrics[0])
    reference = names.DIRECT if compared == RATE else names.OURS
    place = metrics.index(compared) + 1
    headings = [HEADINGS.get(metric, metric).format(unit=result.unit) for metric in metrics]
    rows = []
    for subject in in_order(result.subjects, names.SUBJECTS):
        cells = [_cell(metric, result.values(subject, metric)) for metric in metrics]
        cells.insert(place, _comparison(result, compared, subject, reference))
        rows.append((_emphasised(subject) + (f" {MARK}" if result.errors(subject) else ""), *cells))
    headings.insert(place, f"÷ {reference}")
    return _table(("subject", *headings), rows) + _faults(result)


def rig(results: Results) -> str:
    """What load generator and upstream need for a unit of work, and of their core for the fastest proxy's."""
    ordered = (results.by_workload[name] for name in in_order(results.by_workload, names.WORKLOADS))
    rows = [
        (result.title, *_rig_cells(result))
        for result in ordered
        if all(summary(result.values(names.DIRECT, metric)) for metric in RIG)
    ]
    costs = ("load generator, CPU µs", "upstream, CPU µs")
    headings = (
        "workload",
        *costs,
        "direct, per second",
        "fastest proxy, per second",
        "rig's core busy for that",
    )
    return _table(headings, rows) if rows else f"{NOT_MEASURED.capitalize()}."


def in_order(found: Iterable[str], order: Iterable[str]) -> list[str]:
    """What was found, in that order; what the order does not know comes last, by name."""
    places = {name: place for place, name in enumerate(order)}
    return sorted(found, key=lambda name: (places.get(name, len(places)), name))


def _metrics(result: Result) -> list[str]:
    """Those for which any subject has a value."""
    told = {metric for figures in result.subjects.values() for metric in figures} - set(RIG)
    return in_order((metric for metric in told if _subjects_with(result, metric)), HEADINGS)


def _subjects_with(result: Result, metric: str) -> int:
    return sum(summary(result.values(subject, metric)) is not None for subject in result.subjects)


def _cell(metric: str, values: Values) -> str:
    figure = summary(values)
    if figure is None:
        return NOTHING
    if metric not in COUNTED:
        return str(figure)
    count = total(values)
    return f"**{count:,.0f}**" if count else "0"


def _comparison(result: Result, metric: str, subject: str, reference: str) -> str:
    """A subject's metric ÷ that of the reference, in words."""
    if subject == reference:
        return "1"
    figure = summary(ratios(result.values(subject, metric), result.values(reference, metric)))
    return str(figure or NOTHING)


def _faults(result: Result) -> str:
    """What was wrong with whose answers, below the table."""
    found = [
        f"{subject}: "
        + ", ".join(f"{count} × {kind}" for kind, count in sorted(result.faults[subject].items()))
        for subject in in_order(result.faults, names.SUBJECTS)
    ]
    return f"\n\nErrors: {'; '.join(found)}." if found else ""


def _rig_cells(result: Result) -> tuple[str, ...]:
    """Costs of the rig, rates without a proxy and with the fastest, and how busy that keeps its core."""
    client, upstream = (summary(result.values(names.DIRECT, metric)) for metric in RIG)
    direct = summary(result.values(names.DIRECT, RATE))
    costs = (str(client or NOTHING), str(upstream or NOTHING), str(direct or NOTHING))
    rates = {name: rate.median for name in result.subjects if (rate := summary(result.values(name, RATE)))}
    proxies = sorted(rates.keys() - names.NO_PROXIES, key=lambda name: (rates[name], name))
    if not proxies:
        return (*costs, NOTHING, NOTHING)
    fastest = proxies[-1]
    spent = [summary(result.values(fastest, metric)) for metric in RIG]
    busy = sum(each.median for each in spent if each) * rates[fastest] / 1e6
    return (*costs, f"{fastest}: {number(rates[fastest])}", f"{busy:.0%}" if all(spent) else NOTHING)


def _emphasised(subject: str) -> str:
    return f"**{subject}**" if subject == names.OURS else subject


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
