"""What browsers load: the page's own files, the library of charts as published, and nothing else."""

import hashlib
import re

import pytest

from app.routes import ASSETS
from app.status_page.assets import FOLDER, KEPT, address_of, cache_rule, digest_of, type_of
from app.status_page.page import TEMPLATES

# uPlot 1.6.32 as npm has it: package/dist/uPlot.iife.min.js, uPlot.min.css, LICENSE.
UPLOT = {
    "uplot.js": (
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"  # pragma: allowlist secret
    ),
    "uplot.css": (
        "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"  # pragma: allowlist secret
    ),
}
OWN = [path for path in sorted([*FOLDER.iterdir(), *TEMPLATES.iterdir()]) if path.name not in UPLOT]


@pytest.mark.parametrize("name", sorted(UPLOT))
def test_the_library_of_charts_is_what_its_authors_published(name: str) -> None:
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == UPLOT[name]


def test_its_licence_comes_along() -> None:
    assert "The MIT License" in (FOLDER / "uplot.LICENSE").read_text()
    assert "1.6.32" in (FOLDER / "uplot.js").read_text()[:200]


def test_every_file_has_a_route_and_every_route_a_file() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*ASSETS, "uplot.LICENSE"}


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_a_file_is_kept_for_ever_under_its_own_digest_alone(name: str) -> None:
    assert address_of(name) == f"{ASSETS[name]}?v={digest_of(name)}"
    assert cache_rule(name, digest_of(name)) == KEPT
    assert cache_rule(name, "0" * 12) == cache_rule(name, None) == "no-cache"
    assert type_of(name).endswith("; charset=utf-8")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path) -> None:
    found = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text())

    assert [address for address in found if "www.w3.org" not in address] == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.iterdir()), ids=lambda path: path.name)
def test_no_page_holds_a_script_a_style_or_a_value_that_is_not_escaped(path) -> None:
    text = path.read_text()

    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|\|\s*safe|<script(?![^>]*\ssrc=)", text)


def test_the_whole_page_is_light() -> None:
    sizes = {name: len((FOLDER / name).read_bytes()) for name in ASSETS}

    assert sum(sizes.values()) < 90_000
    assert sum(sizes.values()) - sizes["uplot.js"] < 35_000
