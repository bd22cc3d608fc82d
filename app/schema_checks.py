"""Checks of what an answer must look like: vLLM makes a grammar of it, in the engine that all share."""

import json
from collections.abc import Iterator
from typing import Any

from app.field_checks import NO_OBJECT, NOT_ALLOWED, Asked, entries
from app.strict_json import StrictJsonError, decode_object

BAD_REFERENCE = "holds a schema with a reference to another document"
REGEX = "holds a schema with a regular expression, which this gateway does not allow"
SCHEMA_TOO_LARGE = "holds a larger schema than this gateway allows"

NAMES_OF_SCHEMA = frozenset(("properties", "$defs", "definitions", "dependentSchemas"))
VALUES_OF_SCHEMA = frozenset(("enum", "const", "default", "examples", "required"))
REGEX_KEYS = ("pattern", "patternProperties")
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
    schema = value.get("json")
    if isinstance(schema, str):
        try:
            schema = decode_object(schema.encode())
        except StrictJsonError:
            return "holds a schema that is no JSON object"
    return _schema(schema, asked) or _size(value, asked)


def tools(value: Any, asked: Asked) -> str | None:
    """Not too many; and those whose schemas hold for the answer are checked as one."""
    complaint = entries(value, asked.settings.max_tools)
    if complaint or not isinstance(value, list):
        return complaint
    is_forced = _is_forced(asked.fields.get("tool_choice"))
    return _schema([tool for tool in value if is_forced or _is_strict(tool)], asked)


def _is_forced(choice: Any) -> bool:
    """Whether the model must call a tool: vLLM holds it to the schemas then. A plain offer is only prompt."""
    kind = choice.get("type") if isinstance(choice, dict) else choice
    return kind not in UNFORCED if isinstance(kind, str | None) else True


def _is_strict(tool: Any) -> bool:
    function = tool.get("function") if isinstance(tool, dict) else None
    holders = (tool, function)
    return any(isinstance(holder, dict) and bool(holder.get("strict")) for holder in holders)


def added_tool(node: dict[str, Any], asked: Asked) -> str | None:
    """A part of a message may bring a tool of its own, in the middle of a conversation."""
    tool = node.get("tool")
    return _schema(tool, asked) if isinstance(tool, dict) and "definition" in tool else None


def _schema(value: Any, asked: Asked) -> str | None:
    if complaint := _size(value, asked):
        return complaint
    if _has_foreign_reference(value):
        return BAD_REFERENCE
    if "pattern" not in asked.allowed and any(key in REGEX_KEYS for key, _ in _keywords(value)):
        return REGEX
    return None


def _has_foreign_reference(schema: Any) -> bool:
    references = [value for key, value in _keywords(schema) if key in ("$ref", "$dynamicRef")]
    return not all(isinstance(reference, str) and reference.startswith("#") for reference in references)


def _keywords(node: Any, *, holds_names: bool = False) -> Iterator[tuple[str, Any]]:
    """The members of a JSON Schema that are keywords: a property may be called `pattern` and is none."""
    if isinstance(node, list):
        for child in node:
            yield from _keywords(child)
    elif isinstance(node, dict):
        yield from () if holds_names else node.items()
        for key, child in node.items():
            if holds_names or key not in VALUES_OF_SCHEMA:
                yield from _keywords(child, holds_names=not holds_names and key in NAMES_OF_SCHEMA)


def _size(value: Any, asked: Asked) -> str | None:
    return SCHEMA_TOO_LARGE if len(json.dumps(value)) > asked.settings.max_schema_bytes else None
