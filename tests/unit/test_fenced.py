"""No block of a document is skipped without a word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fenced import Block, as_bash, inline_code, read_blocks

LINES = st.sampled_from(["```", "```sh", " ```", "~~~", "````", "text", "# Not run by a test: why", ""])


def test_blocks_come_in_order_with_their_lines() -> None:
    blocks = read_blocks("a\n```sh\nls\n\n```\n`b`\n```json\n{}\n```\n")

    assert blocks == [Block("sh", "ls\n\n", 2), Block("json", "{}\n", 7)]


@pytest.mark.parametrize("text", ["```sh\nls", "```\nls\n```", "  ```sh\nls\n  ```", "~~~sh\nls\n~~~",
                                  "````sh\nls\n````", "```sh\n```sh\n```", "- x\n\n  ```sh\n"])  # fmt: skip
def test_what_might_hide_a_block_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        read_blocks(text)


@given(st.lists(LINES, max_size=12))
def test_every_fence_is_one_of_a_block_or_refused(lines: list[str]) -> None:
    try:
        blocks = read_blocks("\n".join(lines))
    except ValueError:
        return

    fences = [line for line in lines if line.lstrip().startswith(("```", "~~~"))]
    assert len(fences) == 2 * len(blocks)


def test_only_the_first_line_says_why_nothing_runs() -> None:
    first, second = read_blocks(
        "```sh\n# Not run by a test: why.\nls\n```\n```sh\nls # Not run by a test: no.\n```"
    )

    assert (first.reason, second.reason) == ("why.", "")


def test_code_within_sentences_is_found_outside_of_blocks() -> None:
    assert inline_code("a `b c` d\n```sh\n`e`\n```\n`f`") == {"b c", "f"}


def test_powershell_is_read_as_bash() -> None:
    typed = '$env:KEY = "x"\ncurl.exe -H "K: $env:KEY" u\n'

    assert as_bash(typed) == 'export KEY="x"\ncurl -H "K: $KEY" u\n'
