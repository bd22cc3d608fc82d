"""Checks of what an answer must look like: vLLM makes a grammar of it, in the engine that all share."""

import re
from collections.abc import Iterator
from typing import Any

from app.field_checks import NO_OBJECT, NOT_ALLOWED, TOO_MANY, Asked, entries
from app.strict_json import StrictJsonError, decode_object
from app.turns import give_turn

BAD_REFERENCE = "holds a schema with a reference to another document"
REGEX = "holds a schema with a regular expression, which this gateway does not allow"
SCHEMA_TOO_LARGE = "holds a larger schema than this gateway allows"

NAMES_OF_SCHEMA = frozenset(("properties", "$defs", "definitions", "dependentSchemas"))
VALUES_OF_SCHEMA = frozenset(("enum", "const", "default", "examples", "required"))
REGEX_KEYS = ("pattern", "patternProperties", "x-guidance")  # the last is of one of vLLM's engines
OWN_REFERENCE = re.compile(r"#(?:/[^%]*)?", re.DOTALL)
TOOLS_AT_ONCE = 8
UNFORCED = (None, "auto", "none")


def answer_format(value: Any, asked: Asked) -> str | None:
    """`response_format` and its kin: a schema, or none."""
    if not isinstance(value, dict):
        return NO_OBJECT
    kinds = [holder.get("type") for holder in (value, value.get("format")) if isinstance(holder, dict)]
    if "structural_tag" in kinds and "structural_tag" not in asked.allowed:
        return NOT_ALLOWED
    return _schema(value, asked)


def constraint(value: Any, asked: Asked) -> str | None:
    """`structured_outputs`: a schema or a choice; the rest are programs for the server."""
    if not isinstance(value, dict):
        return NO_OBJECT
    for name in ("regex", "grammar", "structural_tag", "whitespace_pattern"):
        if value.get(name) is not None and f"structured_outputs.{name}" not in asked.allowed:
            return NOT_ALLOWED
    if _exceeds(value, asked.settings.max_schema_bytes):
        return SCHEMA_TOO_LARGE
    schema = value.get("json")
    if isinstance(schema, str):
        try:
            schema = decode_object(schema.encode())
        except StrictJsonError:
            return "holds a schema that is no JSON object"
    return _schema(schema, asked)


def tools(value: Any, asked: Asked) -> str | None:
    """Not too many; and each whose schema holds for the answer has a small and simple one."""
    if not isinstance(value, list):
        return entries(value, asked.settings.max_tools)
    for number, tool in enumerate(_flat(value), 1):
        if number > asked.settings.max_tools:
            return TOO_MANY
        if complaint := _tool(tool, asked):
            return complaint
        if number % TOOLS_AT_ONCE == 0:
            give_turn()
    return None


def added_tool(node: dict[str, Any], asked: Asked) -> str | None:
    """A part of a message may bring a tool of its own, in the middle of a conversation."""
    tool = node.get("tool")
    return _tool(tool.get("definition"), asked) if isinstance(tool, dict) else None


def _flat(listed: list[Any]) -> Iterator[Any]:
    """Tools, also those that stand in a namespace of Responses."""
    for tool in listed:
        yield tool
        inner = tool.get("tools") if isinstance(tool, dict) else None
        yield from _flat(inner) if isinstance(inner, list) else ()


def _tool(tool: Any, asked: Asked) -> str | None:
    if not (isinstance(tool, dict) and _is_held(tool, asked.fields.get("tool_choice"))):
        return None
    holder = _function(tool)
    return _schema([holder.get("parameters"), holder.get("input_schema")], asked)


def _is_held(tool: dict[str, Any], choice: Any) -> bool:
    """Whether vLLM holds the answer to this tool's schema: strict ones, and those that must be called.

    The others are only offered, which makes them words of the prompt.
    """
    if bool(tool.get("strict")) or bool(_function(tool).get("strict")):
        return True
    if not isinstance(choice, dict):
        return choice not in UNFORCED
    kind = choice.get("type")
    if kind in UNFORCED[1:] or (kind == "allowed_tools" and choice.get("mode") == "auto"):
        return False
    name = _function(choice).get("name")
    return name is None or _function(tool).get("name") == name


def _function(holder: dict[str, Any]) -> dict[str, Any]:
    """What a chat nests in `function`, and the other APIs do not."""
    function = holder.get("function")
    return function if isinstance(function, dict) else holder


def _schema(value: Any, asked: Asked) -> str | None:
    if _exceeds(value, asked.settings.max_schema_bytes):
        return SCHEMA_TOO_LARGE
    found = list(_keywords(value))
    if not all(_is_own(reference) for key, reference in found if key in ("$ref", "$dynamicRef")):
        return BAD_REFERENCE
    if "pattern" not in asked.allowed and any(key in REGEX_KEYS for key, _ in found):
        return REGEX
    return None


def _is_own(reference: Any) -> bool:
    """Whether it leads to a schema of the same document, by a way that `_keywords` has gone, too."""
    if not isinstance(reference, str) or not OWN_REFERENCE.fullmatch(reference):
        return False
    holds_names = False
    for part in reference.split("/")[1:]:
        if not holds_names and part in VALUES_OF_SCHEMA:
            return False
        holds_names = not holds_names and part in NAMES_OF_SCHEMA
    return not holds_names


def _keywords(node: Any, *, holds_names: bool = False) -> Iterator[tuple[str, Any]]:
    """The members of a JSON Schema that are keywords: a property may be called `pattern` and is none."""
    if isinstance(node, list):
        for child in node:
            yield from _keywords(child)
    if not isinstance(node, dict):
        return
    yield from () if holds_names else node.items()
    for key, child in node.items():
        if holds_names or key not in VALUES_OF_SCHEMA:
            yield from _keywords(child, holds_names=not holds_names and key in NAMES_OF_SCHEMA)


def _exceeds(value: Any, most: int) -> bool:
    """Whether it takes more bytes than that as JSON, roughly; stops to look once it does."""
    waiting, weight = [value], 0
    while waiting and weight <= most:
        node = waiting.pop()
        if isinstance(node, str):
            weight += len(node) + 2
        elif isinstance(node, dict):
            weight += 2 + sum(len(name) + 4 for name in node)
            waiting += node.values()
        elif isinstance(node, list):
            weight += 2 + len(node)
            waiting += node
        else:
            weight += 4
    return weight > most
