"""docs/observability.md tells of each metric what the code says of it."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics_core import InfoMetricFamily, Metric

from app import create_app
from app.instance import Instance
from app.metrics.views import all_families
from app.metrics.vllm import TYPES
from app.settings import Settings
from tests.local import ROOT

DOCUMENT = (ROOT / "docs" / "observability.md").read_text()
SECTION = DOCUMENT.split("\n## Metrics\n")[1].split("\n## ")[0]
SUFFIX = {"counter": "_total", "info": "_info"}


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> list[Metric]:
    keys: Path = tmp_path_factory.mktemp("keys") / "keys.json"
    keys.write_text("{}")
    return list(all_families(create_app(Settings(api_keys_file=str(keys)), Instance())))


def row_of(family: Metric) -> str:
    """How the table shows it."""
    labels = ["version"] if isinstance(family, InfoMetricFamily) else family._labelnames  # type: ignore[attr-defined]
    name = family.name + SUFFIX.get(family.type, "")
    shown = ", ".join(f"`{label}`" for label in labels)
    kind = "gauge" if family.type == "info" else family.type
    return f"| `{name.removeprefix('vllm_gateway_')}` | {kind} | {shown} | {family.documentation} |"


def test_the_table_has_what_the_code_has_in_its_order(families: list[Metric]) -> None:
    rows = [
        line for line in SECTION.splitlines() if re.match(r"\| `[a-z_]+` \| (gauge|counter|histogram)", line)
    ]

    assert rows == [row_of(family) for family in families]


def test_every_name_is_by_the_conventions(families: list[Metric]) -> None:
    names = [family.name for family in families]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"vllm_gateway_[a-z]+(_[a-z]+)*", name) for name in names)


def test_the_families_of_vllm_that_pass_are_told() -> None:
    told = re.findall(r"`vllm:([a-z0-9_]+)`", SECTION)

    assert {f"vllm:{name}" for name in told} == set(TYPES)
