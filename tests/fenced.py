"""The fenced blocks of a document, none of them skipped without a word.

A block that no test can run says so in its first line, where the reader sees it: `# Not run by a test: why.`
"""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"(\s*)(`{3,}|~{3,})(.*)")
NOT_RUN = "# Not run by a test: "


@dataclass(frozen=True)
class Block:
    """What stands between two fences, and the line of the first one in the document."""

    language: str
    text: str
    line: int

    @property
    def reason(self) -> str:
        """Why no test runs it; empty when one does."""
        first = self.text.partition("\n")[0]
        return first.removeprefix(NOT_RUN) if first.startswith(NOT_RUN) else ""


def read_blocks(text: str) -> list[Block]:
    """Every block, in order. Raises ValueError for what might hide one.

    That is: a fence that is indented, tilded, longer than three, open at the end or without a language.
    """
    blocks: list[Block] = []
    opened: tuple[str, int] | None = None
    content: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        fence = FENCE.match(line)
        if fence is None:
            content.append(line)
        elif fence[1] or fence[2] != "```" or bool(fence[3]) is (opened is not None):
            raise ValueError(f"line {number}: {line!r} is no fence that tests can follow")
        elif opened is None:
            opened, content = (fence[3], number), []
        else:
            blocks.append(Block(opened[0], "\n".join([*content, ""]), opened[1]))
            opened = None
    if opened is not None:
        raise ValueError(f"line {opened[1]}: the block has no end")
    return blocks


def outside_of_blocks(text: str) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", text)


def inline_code(text: str) -> set[str]:
    """What stands between single backticks, outside of fenced blocks."""
    return set(re.findall(r"`([^`\n]+)`", outside_of_blocks(text)))


def as_bash(powershell: str) -> str:
    """The same commands for bash, as far as the two differ in our documents."""
    rules = ((r"(?m)^\$env:(\w+) = ", r"export \1="), (r"\$env:(\w+)", r"$\1"), (r"(?m)^curl\.exe ", "curl "))
    for pattern, replacement in rules:
        powershell = re.sub(pattern, replacement, powershell)
    return powershell


def read_document(path: Path) -> tuple[str, list[Block]]:
    """A document and its blocks."""
    text = path.read_text()
    return text, read_blocks(text)
