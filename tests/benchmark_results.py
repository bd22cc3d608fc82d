"""Made-up results of benchmarks, as the runner writes them."""

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.figures import Values
from benchmarks.measured import Result, Results, parse


def result(workload: str, subjects: Mapping[str, Mapping[str, Values]], **fields: Any) -> Result:
    """One workload's, apart from `fields` always of the same machine and day."""
    content = {
        "workload": workload,
        "unit": "event",
        "title": f"Title of {workload}",
        "rounds": 2,
        "date": "2026-11-25",
        "machine": {"cpu": "Some CPU", "cores": 2, "kernel": "6.1", "python": "3.11.9"},
        "versions": {},
        "subjects": subjects,
    }
    return parse(json.dumps({**content, **fields}))


def results(*each: Result) -> Results:
    """Several workloads'."""
    return Results({one.workload: one for one in each})


def cpu(*rounds: float | None, **others: Values) -> dict[str, Values]:
    """CPU times, and perhaps other figures."""
    return {"cpu_us": rounds, **others}
