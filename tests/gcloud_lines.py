"""Every call of gcloud in scripts and documents, and what a table of gcloud's flags has against it.

Where a gcloud is installed, it is run as nobody, and reaches nobody.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CALL = re.compile(r"(?<![\w/.-])gcloud(?= [a-z])")
VARIABLE = re.compile(r"\$\([^()]*\)|\$\{[^}]*\}|\$\w+|%s")
BLOCK = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
ENDS = "\n;|&<>)`"


@dataclass(frozen=True)
class Call:
    """One call; `is_whole` when it can be typed as it stands, and is not a name in a sentence."""

    place: str
    words: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        return f"{self.place}: gcloud {' '.join(self.words)}"


def alone(folder: Path, port: int = 9) -> dict[str, str]:
    """Variables for a gcloud that nobody has set up, and that takes this port for the way to everybody."""
    return {
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_PROXY_TYPE": "http",
        "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
        "CLOUDSDK_PROXY_PORT": str(port),
    }


def calls_in_document(name: str, text: str) -> Iterator[Call]:
    """The calls in blocks of code, and those between backticks."""
    for block in BLOCK.findall(text):
        yield from calls_in_script(name, block)
    for part in INLINE.findall(BLOCK.sub("", text)):
        yield from (Call(name, words, is_whole=False) for words in _calls(part))


def calls_in_script(name: str, text: str) -> Iterator[Call]:
    """The calls in shell, also in its comments and in what it prints."""
    yield from (Call(name, words, is_whole=True) for words in _calls(text))


def _calls(text: str) -> Iterator[tuple[str, ...]]:
    joined = re.sub(r"\\\n\s*(#\s*)?", " ", text)
    for found in CALL.finditer(joined):
        rest = joined[found.end() : _end(joined, found.end())]
        yield tuple(shlex.split(VARIABLE.sub("word", rest)))


def _end(text: str, start: int) -> int:
    """Where the call ends: at what ends a command, outside quotes, or at an end of line that is printed."""
    quote = ""
    for place in range(start, len(text)):
        letter = text[place]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in ENDS or text.startswith("\\n", place):
            return place
    return len(text)


def fault(call: Call, table: dict[str, Any]) -> str:
    """What the table has against a call, or nothing."""
    positional = [word for word in call.words if not word.startswith("-")]
    known = [" ".join(positional[:count]) for count in range(len(positional), 0, -1)]
    command = next((each for each in known if each in table["commands"]), None)
    if command is None:
        return f"{call}: not in the table; `python -m tests.supply.gcloud_commands` adds it"
    flags = {"-q": "bool", **table["everywhere"], **table["commands"][command]}
    for number, word in enumerate(call.words):
        name, equals, _ = word.partition("=")
        if not word.startswith("-") or word == "-":
            continue
        kind = flags.get(name) or flags.get(name.replace("--no-", "--", 1), "")
        if not kind:
            return f"{call}: {command} has no {name}"
        if kind == "value" and not equals and number + 1 == len(call.words):
            return f"{call}: {name} wants a value"
    return ""
