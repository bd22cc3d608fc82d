"""Every link from a document to a file of ours leads to one that is there, and to a heading that it has."""

import re
from pathlib import Path

import pytest

from tests.fenced import outside_of_blocks
from tests.local import ROOT

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", outside_of_blocks(text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether the file is there, and the heading in it."""
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in anchors(target.read_text()))


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_its_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(outside_of_blocks(page.read_text())) if "://" not in link]

    assert [link for link in links if not leads_somewhere(page, link)] == []


@pytest.mark.parametrize(
    "link", ["nobody.md", "#no-such-heading", "other.md#no-such-heading", "other.md#code"]
)
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, link: str) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    page.write_text("# A page, of `code`\n")
    other.write_text("# Other\n\n```sh\n# code\n```\n")

    assert not leads_somewhere(page, link)
    assert leads_somewhere(page, "#a-page-of-code")
    assert leads_somewhere(page, "other.md#other")
