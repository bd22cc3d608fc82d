"""The report: what the results say, as docs/benchmarks.md. The same results give the same bytes.

The words around the figures are page.md's, those about their causes notes.md's; both are written by hand.
"""

from pathlib import Path
from string import Template

from benchmarks import charts, names, tables
from benchmarks.measured import Result, Results, load

FOLDER = Path(__file__).parent
DOCUMENT = FOLDER.parent / "docs" / "benchmarks.md"
PICTURES = "benchmarks"  # beside the document


def render(results: Results, notes: str) -> str:
    """The whole document; what was not measured says so."""
    page = Template((FOLDER / "page.md").read_text())
    return page.substitute(
        date=_date(results),
        machine=_machine(results),
        targets=tables.targets(results),
        longest=f"{charts.LONGEST:g}",
        pictures=_pictures(results),
        notes=notes.strip(),
        subjects=tables.subjects(results),
        rig=tables.rig(results),
        workloads="\n\n".join(_section(results, name) for name in _workloads(results)),
        mark=tables.MARK,
        paced=names.PACED,
    )


def _date(results: Results) -> str:
    """The day, or the first and the last."""
    days = sorted({result.date for result in results})
    return " to ".join(days[:1] + days[1:][-1:]) or "no day yet"


def _machine(results: Results) -> str:
    """Each machine that results are from, and how many rounds there were."""
    machines = sorted({_words(result) for result in results})
    return "Measured on " + "; and on ".join(machines) if machines else "Not measured"


def _words(result: Result) -> str:
    machine = result.machine
    place = (
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, Python {machine['python']}"
    )
    return f"{place}, without a GPU"


def _workloads(results: Results) -> list[str]:
    return tables.in_order({*names.WORKLOADS, *results.by_workload}, names.WORKLOADS)


def _section(results: Results, name: str) -> str:
    """A workload: what it is, and its table."""
    about = names.WORKLOADS.get(name, "")
    result = results.by_workload.get(name)
    if result is None:
        return f"### `{name}`\n\n{about} Not measured."
    return f"### {result.title} (`{name}`)\n\n{about} Rounds: {result.rounds}.\n\n{tables.workload(result)}"


def _pictures(results: Results) -> str:
    links = [f"![{chart.title}]({PICTURES}/{chart.name}.svg)" for chart in charts.drawn(results)]
    return "\n\n".join(links) or "Nothing that could be drawn was measured."


def main() -> None:
    """Write the document from the results that are there."""
    DOCUMENT.write_text(render(load(), (FOLDER / "notes.md").read_text()))


if __name__ == "__main__":
    main()
