"""docs/deploy.md and docs/costs.md name only what there is: sources, substitutions, fields of the log.

What they have the reader type is typed in tests/integration/test_deploy_guide.py.
"""

import re
from typing import Any

import pytest

from app.settings import Settings
from tests.cloud_files import read_build
from tests.cost_tables import log_line
from tests.fenced import inline_code, outside_of_blocks, read_document
from tests.local import ROOT
from tests.shellcheck import complaints

PAGES = {name: read_document(ROOT / "docs" / name) for name in ("deploy.md", "costs.md")}
GUIDE = PAGES["deploy.md"][0]
SHELL = "".join(block.text for _, blocks in PAGES.values() for block in blocks if block.language == "sh")
SUBSTITUTION = re.compile(r"(?<!\w)_[A-Z][A-Z_]+\b")
SETTING = re.compile(r"[A-Z][A-Z0-9_]+")
SQL = {"CAST", "BOOL", "STRING", "FLOAT64"}


def test_every_numbered_source_is_given_and_used() -> None:
    text = outside_of_blocks(GUIDE)
    given = re.findall(r"(?m)^\[(\d+)\]: https://\S+$", text)

    assert given == [str(number) for number in range(1, len(given) + 1)]
    assert set(given) == set(re.findall(r"\[(\d+)\](?!:)", text))


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    kinds = {name: {block.language for block in blocks} for name, (_, blocks) in PAGES.items()}

    assert kinds == {"deploy.md": {"sh", "yaml", "text"}, "costs.md": {"sh", "sql"}}


def test_shellcheck_has_nothing_against_what_is_typed() -> None:
    assert complaints(SHELL) == ""


def test_every_substitution_is_one_of_the_build() -> None:
    named = {each for code in inline_code(GUIDE) for each in SUBSTITUTION.findall(code)}
    named |= set(SUBSTITUTION.findall(re.sub(r"\$\{?\w+", "", SHELL)))

    assert named <= read_build()["substitutions"].keys()


def test_every_setting_is_one_of_the_gateways() -> None:
    typed = set(re.findall(r"\b([A-Z][A-Z_]+)=", SHELL))
    named = {code for text, _ in PAGES.values() for code in inline_code(text) if SETTING.fullmatch(code)}

    assert named - typed - SQL <= set(Settings.__struct_encode_fields__)


@pytest.mark.parametrize(
    "block",
    [block for block in PAGES["deploy.md"][1] if block.language == "text"],
    ids=lambda block: block.line,
)
def test_a_filter_asks_for_what_the_log_has(block: Any) -> None:
    line = log_line("ann", 1.0, (1, 1), application="a", environment="e", team="t", cost_center="c")
    payload = set(re.findall(r"jsonPayload\.(\w+)", block.text)) - {"phase", "seconds", "phases"}
    labels = set(re.findall(r"(?<!resource\.)labels\.(\w+)", block.text))

    assert payload <= line.keys()
    assert labels <= line["logging.googleapis.com/labels"].keys()
    for logger in re.findall(r'jsonPayload\.logger="([\w.]+)"', block.text):
        assert any(f'"{logger}"' in path.read_text() for path in (ROOT / "app").rglob("*.py"))
    for message in re.findall(r'jsonPayload\.message="([^"]+)"', block.text):
        assert any(f'"{message}"' in path.read_text() for path in (ROOT / "app").rglob("*.py"))


def test_the_fields_that_the_guide_lists_are_those_of_a_line() -> None:
    listed = GUIDE.split("`jsonPayload`: ")[1].split(" and others")[0]

    assert set(re.findall(r"`(\w+)`", listed)) <= log_line("ann", 1.0, (1, 1)).keys()


def test_the_sums_are_sums() -> None:
    """Prices, the KV cache of a token, and what follows from them."""
    second = 0.0001867 + 8 * 0.000018 + 32 * 0.000002
    redundant = second - 0.0001867 + 0.0002909
    token = 2 * 28 * 2 * 128 * 2  # key and value, layers, heads, size of a head, bytes
    fitting = 15 * 2**30 / token

    for told in (f"${second:.7f}", f"${second * 3600:.3f}", f"${redundant:.7f}", f"${redundant * 3600:.3f}",
                 f"${second * 3600 * 730:,.0f} |", f"${second * 3600 * 3:.2f} an hour", f"{token:,} bytes",
                 f"{round(fitting, -4):,.0f} |", f"**{int(fitting / 20_000)} sessions**",
                 f"| 131,072: {int(fitting / 131_072)} sessions |"):  # fmt: skip
        assert told in " ".join(GUIDE.split()), told
    assert f"{second * 3600:.3f} / 3600" in PAGES["costs.md"][0]
