"""The fenced code blocks of a page in docs/, so that tests can run what people copy."""

import re
from dataclasses import dataclass

from tests.local import ROOT

HEADING = re.compile(r"#+ (.+)")
FENCE = re.compile(r"```(\S*) ?(.*)")


@dataclass(frozen=True)
class Block:
    """One block: the heading above it, the language and the file that its fence names, and its lines."""

    heading: str
    language: str
    file: str
    text: str


def read_blocks(page: str) -> list[Block]:
    """The blocks of a page, by its path in this checkout, in their order."""
    blocks, heading = [], ""
    lines = iter((ROOT / page).read_text().splitlines())
    for line in lines:
        if match := HEADING.match(line):
            heading = match[1]
        elif match := FENCE.match(line):
            text = "".join(f"{inside}\n" for inside in iter(lambda: next(lines), "```"))
            blocks.append(Block(heading, match[1], match[2], text))
    return blocks
