"""Schemas that an answer must follow: small, without regular expressions, and all in one document."""

from typing import Any

import pytest

from app.errors import InvalidField
from app.policy import Policy
from app.settings import Settings

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
PATTERN = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)+$"}}}
FOREIGN = {"type": "object", "properties": {"a": {"$ref": "https://example.com/schema"}}}
PYDANTIC = {
    "$defs": {"Leaf": {"type": "object", "properties": {"pattern": {"type": "string"}}}},
    "type": "object",
    "properties": {
        "pattern": {"$ref": "#/$defs/Leaf"},
        "patternProperties": {"type": "array", "items": {"$ref": "#"}},
        "$ref": {"enum": [{"pattern": "x"}], "default": {"$ref": "y"}},
    },
    "required": ["pattern"],
}


def is_refused(fields: dict[str, Any], path: str = CHAT, **settings: Any) -> bool:
    try:
        Policy(Settings(**settings)).review(path, fields, "salt")
    except InvalidField:
        return True
    return False


def as_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


CALLED = {"function": {"name": "f"}}
ONE_OF_SOME = {"type": "allowed_tools", "mode": "required"}
PLACES = [
    (CHAT, lambda schema: {"response_format": as_format(schema)}),
    (CHAT, lambda schema: {"structured_outputs": {"json": schema}}),
    (CHAT, lambda schema: {"tools": chat_tools(schema), "tool_choice": "required"}),
    (CHAT, lambda schema: {"tools": chat_tools(schema), "tool_choice": {"type": "function", "function": {}}}),
    (CHAT, lambda schema: {"tools": chat_tools(schema, strict=True)}),
    (CHAT, lambda schema: {"tools": chat_tools(schema, strict=1)}),
    (CHAT, lambda schema: {"tools": chat_tools(schema), "tool_choice": CALLED}),
    (CHAT, lambda schema: {"tools": chat_tools(schema), "tool_choice": {**CALLED, "mode": "auto"}}),
    (RESPONSES, lambda schema: {"tools": namespace(schema, strict=True)}),
    (RESPONSES, lambda schema: {"tools": namespace(schema), "tool_choice": {"name": "f"}}),
    (RESPONSES, lambda schema: {"tools": namespace(schema), "tool_choice": ONE_OF_SOME}),
    (MESSAGES, lambda schema: {"tools": [{"input_schema": schema}], "tool_choice": {"type": "tool"}}),
    (RESPONSES, lambda schema: {"text": {"format": {"type": "json_schema", "name": "x", "schema": schema}}}),
    (RESPONSES, lambda schema: {"tools": [{"type": "function", "parameters": schema, "strict": True}]}),
    (MESSAGES, lambda schema: {"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
    (MESSAGES, lambda schema: {"tools": [{"input_schema": schema}], "tool_choice": {"type": "any"}}),
    (MESSAGES, lambda schema: {"messages": [{"role": "system", "content": [added(schema)]}]}),
]  # fmt: skip


def chat_tools(schema: Any, **function: Any) -> list[Any]:
    return [{"type": "function", "function": {"name": "f", "parameters": schema, **function}}]


def namespace(schema: Any, **more: Any) -> list[Any]:
    inner = {"type": "function", "name": "f", "parameters": schema, **more}
    return [{"type": "namespace", "name": "n", "tools": [inner]}]


def added(schema: Any) -> dict[str, Any]:
    definition = {"name": "f", "input_schema": schema, "strict": True}
    return {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": definition}}


@pytest.mark.parametrize(("path", "place"), PLACES)
def test_a_regular_expression_is_refused_wherever_vllm_compiles_it(path: str, place: Any) -> None:
    assert is_refused(place(PATTERN), path)
    assert is_refused(place({"patternProperties": {"^(a+)+$": {}}}), path)
    assert is_refused(place({"anyOf": [{"not": PATTERN}]}), path)
    assert not is_refused(place(PATTERN), path, allowed_fields="pattern")


@pytest.mark.parametrize(("path", "place"), PLACES)
def test_a_schema_refers_to_itself_only(path: str, place: Any) -> None:
    assert is_refused(place(FOREIGN), path)
    assert is_refused(place({"$ref": 5}), path)
    assert is_refused(place({"$dynamicRef": "other#x"}), path)
    assert is_refused(place(FOREIGN), path, allowed_fields="pattern")


@pytest.mark.parametrize(("path", "place"), PLACES)
def test_what_pydantic_writes_passes_also_where_a_property_is_called_pattern(path: str, place: Any) -> None:
    assert not is_refused(place(PYDANTIC), path)


@pytest.mark.parametrize(("path", "place"), PLACES)
def test_a_schema_has_a_size(path: str, place: Any) -> None:
    assert not is_refused(place({"enum": ["x" * 400]}), path, max_schema_bytes=1000)
    assert is_refused(place({"enum": ["x" * 1000]}), path, max_schema_bytes=1000)


@pytest.mark.parametrize("choice", [None, "auto", "none", {"type": "auto"}, {"type": "none"}])
def test_tools_that_are_only_offered_are_part_of_the_prompt(choice: Any) -> None:
    assert not is_refused({"tools": chat_tools(PATTERN), "tool_choice": choice})


@pytest.mark.parametrize(
    "choice", [{"type": "allowed_tools", "mode": "auto"}, {"type": "function", "name": "g"}]
)
def test_a_tool_that_need_not_be_called_is_only_offered(choice: Any) -> None:
    offered = {"type": "function", "name": "f", "parameters": PATTERN}
    called = {"type": "function", "name": "g", "parameters": PYDANTIC}

    assert not is_refused({"tools": [offered, called], "tool_choice": choice}, RESPONSES)


def test_a_tool_in_the_middle_of_a_conversation_may_be_only_offered() -> None:
    part = added(PATTERN)
    del part["tool"]["definition"]["strict"]

    assert not is_refused({"messages": [{"role": "system", "content": [part]}]}, MESSAGES)


def test_tools_count_also_where_they_are_nested() -> None:
    tools = [{"type": "namespace", "tools": [{"name": "f"}] * 3}]

    assert not is_refused({"tools": tools}, RESPONSES, max_tools=4)
    assert is_refused({"tools": tools}, RESPONSES, max_tools=3)


def test_many_tools_that_must_be_called_may_each_be_large() -> None:
    schema = {"enum": ["x" * 40_000]}

    assert not is_refused({"tools": chat_tools(schema) * 10, "tool_choice": "required"})


@pytest.mark.parametrize(
    "reference",
    ["#/default", "#/$defs", "#/properties", "#/properties/a/default", "#/enum/0", "#/%64efault", "#anchor",
     "#/properties/a/properties"],
)  # fmt: skip
def test_a_reference_leads_only_where_somebody_has_looked(reference: str) -> None:
    assert is_refused({"response_format": as_format({"$ref": reference, "default": {"pattern": "x"}})})


@pytest.mark.parametrize(
    "reference", ["#", "#/", "#/$defs/default", "#/properties/enum", "#/properties/a/items/0"]
)
def test_a_reference_within_the_schema_passes(reference: str) -> None:
    assert not is_refused({"response_format": as_format({"$ref": reference})})


def test_a_regular_expression_for_one_of_the_engines_is_one() -> None:
    schema = {"type": "integer", "multipleOf": 2, "x-guidance": {"whitespace_pattern": "(a+)+"}}

    assert is_refused({"response_format": as_format(schema)})


def test_a_schema_as_a_text_is_measured_before_it_is_read() -> None:
    assert is_refused({"structured_outputs": {"json": "[" * 2000}}, max_schema_bytes=1000)


@pytest.mark.parametrize("name", ["regex", "grammar", "structural_tag", "whitespace_pattern"])
def test_programs_for_the_decoder_are_refused(name: str) -> None:
    assert is_refused({"structured_outputs": {name: "x"}})
    assert is_refused({"structured_outputs": {name: ""}})
    assert not is_refused({"structured_outputs": {name: None, "json_object": True}})
    assert not is_refused({"structured_outputs": {name: "x"}}, allowed_fields=f"structured_outputs.{name}")


@pytest.mark.parametrize(
    "tag", [{"type": "structural_tag", "structures": []}, {"format": {"type": "structural_tag"}},
            {"type": "structural_tag", "format": {"type": "regex", "pattern": "x"}}]
)  # fmt: skip
def test_a_structural_tag_is_refused(tag: Any) -> None:
    assert is_refused({"response_format": tag})
    assert not is_refused({"response_format": tag}, allowed_fields="structural_tag,pattern")


@pytest.mark.parametrize("text", ['{"type":"object"}', '{"a":1'])
def test_a_schema_may_come_as_a_text_of_json(text: str) -> None:
    assert is_refused({"structured_outputs": {"json": text}}) == (text[-1] != "}")
    assert is_refused({"structured_outputs": {"json": '{"pattern":"x"}'}})


def test_a_choice_is_as_small_as_a_schema() -> None:
    assert not is_refused({"structured_outputs": {"choice": ["a", "b"]}})
    assert is_refused({"structured_outputs": {"choice": ["a" * 100] * 1000}})


@pytest.mark.parametrize("field", ["response_format", "text", "output_config", "structured_outputs"])
@pytest.mark.parametrize("value", [[], "json", 1, True])
def test_a_format_is_an_object(field: str, value: Any) -> None:
    assert is_refused({field: value})


@pytest.mark.parametrize("kind", ["text", "json_object"])
def test_a_plain_format_passes(kind: str) -> None:
    assert not is_refused({"response_format": {"type": kind}})
