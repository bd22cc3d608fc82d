"""docs/architecture.md lists the modules in the order of their imports, and names no file that is missing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text()
LIST = TEXT.split("Imports go one way")[1].split("```")[1].strip()
# A line that goes on is indented.
LAYERS = [line.split(", ") for line in re.sub(r",\n +", ", ", LIST).splitlines()]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
FILES = [path for path in sorted((ROOT / "app").rglob("*.py")) if path != ROOT / "app" / "__init__.py"]


def listed(path: Path) -> str:
    """Under which name the list has a file: its own, or that of its package."""
    own = path.relative_to(ROOT / "app").with_suffix("").as_posix()
    return own if own in LAYER else own.split("/")[0]


def imported(path: Path) -> Iterator[Path]:
    """The files of ours that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "app":
            module = ROOT / str(node.module).replace(".", "/")
            for place in {module, *(module / alias.name for alias in node.names)}:
                yield from (
                    each for each in (place.with_suffix(".py"), place / "__init__.py") if each.exists()
                )


def test_the_list_has_every_module_once() -> None:
    names = [name for names in LAYERS for name in names]

    assert len(set(names)) == len(names)
    assert {listed(path) for path in FILES} == set(names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    below = {listed(each) for each in imported(path)} - {listed(path), "__init__"}

    assert [name for name in below if LAYER[name] > LAYER[listed(path)]] == []


def test_every_file_that_is_named_is_there() -> None:
    named = set(re.findall(r"(?<![.\w])[a-z_]+\.py\b", TEXT))
    there = {path.name for folder in ("app", "launch") for path in (ROOT / folder).rglob("*.py")}

    assert named - there == set()
