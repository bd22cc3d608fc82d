"""The results of a run, read back: one JSON file a workload, as the runner writes them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Values, total

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Result:
    """One workload: `subjects` has, by name and metric, one value a round; `rig`, by metric, its own.

    `faults` counts what was wrong, by subject and kind.
    """

    workload: str
    title: str
    unit: str
    rounds: int
    date: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    subjects: Mapping[str, Mapping[str, Values]]
    faults: Mapping[str, Mapping[str, int]]

    def values(self, subject: str, metric: str) -> Values:
        """One value a round; none at all where that was not measured."""
        return self.subjects.get(subject, {}).get(metric, ())

    def errors(self, subject: str) -> int:
        """Answers that were not what they should be, over all rounds."""
        return int(total(self.values(subject, "errors")))


@dataclass(frozen=True)
class Results:
    """Those of several workloads, by the workload's name; any of them may be missing."""

    by_workload: Mapping[str, Result]

    def __iter__(self) -> Iterator[Result]:
        """Each workload's."""
        return iter(self.by_workload.values())

    def values(self, workload: str, subject: str, metric: str) -> Values:
        """One value a round; none at all where that was not measured."""
        result = self.by_workload.get(workload)
        return result.values(subject, metric) if result else ()

    def has_errors(self, workload: str, subject: str) -> bool:
        """Whether that subject gave an answer under that workload which was not what it should be."""
        result = self.by_workload.get(workload)
        return result is not None and result.errors(subject) > 0


def parse(text: str) -> Result:
    """One file. KeyError, TypeError or ValueError where it is no result."""
    content = json.loads(text)
    return Result(
        workload=content["workload"],
        title=content["title"],
        unit=content["unit"],
        rounds=content["rounds"],
        date=content["date"],
        machine=content["machine"],
        versions=content["versions"],
        subjects=content["subjects"],
        faults=content.get("faults", {}),
    )


def load(folder: Path = FOLDER) -> Results:
    """Every result in a folder; none where there is no such folder."""
    parsed = (parse(path.read_text()) for path in sorted(folder.glob("*.json")))
    return Results({result.workload: result for result in parsed})
