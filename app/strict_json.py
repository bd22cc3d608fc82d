"""JSON as a gateway has to read it: one meaning only, or not at all."""

import json
import math
import re
from typing import Any, NoReturn

import msgspec

MAX_NUMBER_CHARS = 400  # the longest float that Python prints has under 30
MOST_PARTS = 250_000  # of a client's body: parsing as many takes up to 100 ms, in which nobody else is served
PART_MARKS = (b'"', b",", b"[", b"{")
# Counted outside of strings; possessive, so that no text makes it look at a byte twice.
FEW_PARTS = re.compile(
    rb'(?:[^",\[{]*+(?:[,\[{]|"[^"\\]*+(?:\\.[^"\\]*+)*+"?)){0,%d}+[^",\[{]*+' % MOST_PARTS, re.DOTALL
)
SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class StrictJsonError(ValueError):
    """The text is not JSON, or JSON that two parsers could read differently."""


def decode_object(data: bytes) -> dict[str, Any]:
    """Parse one JSON object in UTF-8.

    Raises StrictJsonError for anything else, and for repeated names, NaN and Infinity, numbers of
    absurd length or size, lone surrogates, a byte order mark, and nesting beyond Python's recursion limit.
    """
    try:
        value = DECODER.decode(data.decode("utf-8"))
        if SURROGATE_ESCAPE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except StrictJsonError:
        raise
    except (ValueError, RecursionError):
        raise StrictJsonError("not valid JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise StrictJsonError("not an object")
    return value


def has_few_parts(data: bytes) -> bool:
    """Whether a text has at most `MOST_PARTS` strings, commas and brackets; told without parsing it."""
    return sum(map(data.count, PART_MARKS)) <= MOST_PARTS or FEW_PARTS.fullmatch(data) is not None


def decode_upstream(data: bytes) -> Any:
    """Any JSON that an upstream sent, as it comes. Raises StrictJsonError for what is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise StrictJsonError("not valid JSON") from None


def member_span(text: str, name: str) -> tuple[int, int]:
    """Where the value of a top-level member stands in a text that `decode_object` accepted.

    Raises KeyError when there is no such member.
    """
    position = _skip_space(text, 0) + 1
    while text[position := _skip_space(text, position)] != "}":
        key, position = DECODER.raw_decode(text, _skip_space(text, position))
        start = _skip_space(text, _skip_space(text, position) + 1)
        _, end = DECODER.raw_decode(text, start)
        if key == name:
            return start, end
        position = _skip_space(text, end)
        position += text[position] == ","
    raise KeyError(name)


def _skip_space(text: str, position: int) -> int:
    while text[position] in " \t\n\r":
        position += 1
    return position


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise StrictJsonError("a name stands twice in one object")
    return members


def _refuse_constant(_text: str) -> NoReturn:
    raise StrictJsonError("NaN and Infinity are not JSON")


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARS:
        raise StrictJsonError("a number is too long")
    return int(text)


def _float(text: str) -> float:
    if len(text) > MAX_NUMBER_CHARS:
        raise StrictJsonError("a number is too long")
    number = float(text)
    if not math.isfinite(number):
        raise StrictJsonError("a number is larger than any float")
    return number


DECODER = json.JSONDecoder(
    object_pairs_hook=_distinct,
    parse_constant=_refuse_constant,
    parse_int=_integer,
    parse_float=_float,
)
