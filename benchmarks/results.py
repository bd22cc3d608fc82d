"""What was measured, as files: one for each workload, with one value a round for each metric."""

import datetime
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.stand import Sample
from benchmarks.subjects import versions


@dataclass
class Figures:
    """The samples of one workload, by subject, a sample a round."""

    name: str
    unit: str
    title: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    faults: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, subject: str, sample: Sample, faults: Counter[str]) -> None:
        """One more round of a subject; what was wrong in it is counted as `errors`."""
        self.samples.setdefault(subject, []).append({**sample, "errors": faults.total()})
        self.faults.setdefault(subject, Counter()).update(faults)

    def values(self, subject: str, metric: str) -> list[float | None]:
        """One value a round; None where it was not measurable."""
        rounds = self.samples.get(subject, [])
        return [_plain(sample.get(metric)) for sample in rounds]

    def content(self) -> dict[str, Any]:
        """The whole file."""
        return {
            "workload": self.name,
            "unit": self.unit,
            "title": self.title,
            "rounds": max(map(len, self.samples.values()), default=0),
            "machine": machine(),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "versions": versions(),
            "subjects": {name: self._metrics(name) for name in self.samples},
            "faults": {name: dict(faults) for name, faults in self.faults.items() if faults},
        }

    def _metrics(self, subject: str) -> dict[str, list[float | None]]:
        names = sorted({name for sample in self.samples[subject] for name in sample})
        return {name: self.values(subject, name) for name in names}

    def write(self, folder: Path) -> None:
        """To `<folder>/<workload>.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.content(), indent=1)
        (folder / f"{self.name}.json").write_text(text + "\n")


def _plain(value: float | None) -> float | None:
    if value is None or math.isnan(value):
        return None
    return float(f"{value:.5g}")
