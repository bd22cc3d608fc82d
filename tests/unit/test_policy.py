"""The field policy: what is refused, bounded, taken out or set, and what ordinary clients never notice."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidField
from app.policy import DENY, DROP, FIELDS, PARTS, PASS, Changes, Policy
from app.routes import RELAYED
from app.settings import Settings, SettingsError

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
MESSAGES, EMBEDDINGS = "/v1/messages", "/v1/embeddings"
SALT = "0123456789abcdef"
INT32 = 2**31 - 1
DENIED = sorted(name for name, rule in FIELDS.items() if rule is DENY)
DROPPED = sorted(name for name, rule in FIELDS.items() if rule is DROP)
# Retried by OpenCode, or taken for a context that has run over (its version 1.18.33).
MISREAD = re.compile(
    r"\d|rate.?limit|too many requests|overloaded|unavailable|error|terminated|timed? ?out|try again|retry"
    r"|too long|exceeds|maximum|too many tokens|reduce the length|entity too large|context",
    re.IGNORECASE,
)


def review(fields: dict[str, Any], path: str = CHAT, **settings: Any) -> Changes:
    return Policy(Settings(**settings)).review(path, fields, SALT)


def refusal(fields: dict[str, Any], path: str = CHAT, **settings: Any) -> InvalidField:
    with pytest.raises(InvalidField) as caught:
        review(fields, path, **settings)
    assert not MISREAD.search(caught.value.message)
    assert caught.value.message.startswith(f"The field {caught.value.param} ")
    return caught.value


def test_fields_that_nobody_knows_pass() -> None:
    assert review({"model": "m", "thinking_mode": {"x": [1]}, "": 1}).drop == frozenset()


@pytest.mark.parametrize("path", [route.path for route in RELAYED])
@pytest.mark.parametrize("field", DENIED)
def test_a_denied_field_is_refused_on_every_route(field: str, path: str) -> None:
    assert refusal({"model": "m", field: {"a": 1}}, path).param == field


@pytest.mark.parametrize("value", [0, 1, "true", " ", [0], {}, {"a": None}, True, 1.5])
@pytest.mark.parametrize("field", ["use_beam_search", "kv_transfer_params", "chat_template"])
def test_a_denied_field_is_refused_whatever_it_holds(field: str, value: Any) -> None:
    assert refusal({field: value}).code == "invalid_field"


@pytest.mark.parametrize("value", [None, False, "", []])
@pytest.mark.parametrize("field", DENIED)
def test_a_denied_field_that_is_off_passes(field: str, value: Any) -> None:
    assert review({field: value}).drop == frozenset()


@pytest.mark.parametrize("value", [None, 0, -5, "a", {"x": 1}])
@pytest.mark.parametrize("field", DROPPED)
def test_what_is_the_servers_own_is_taken_out(field: str, value: Any) -> None:
    assert review({field: value}).drop == {field}


@pytest.mark.parametrize(
    "value",
    [{"enable_thinking": False}, {"thinking": True, "reasoning_effort": "high"}, {}, {"thinking": None}],
)
def test_the_switches_of_templates_pass(value: Any) -> None:
    assert review({"chat_template_kwargs": value}).drop == frozenset()


@pytest.mark.parametrize(
    "value",
    [{"tokenize": False}, {"chat_template": "{{ 1 }}"}, {"tools": []}, {"messages": "x"}, {"padding": True},
     {"tokenizer_kwargs": {}}, {"enable_thinking": {"a": 1}}, {"thinking": "x" * 65}, [], "enable_thinking"],
)  # fmt: skip
def test_other_arguments_of_the_template_do_not(value: Any) -> None:
    assert refusal({"chat_template_kwargs": value}).param == "chat_template_kwargs"


def test_a_cap_on_output_holds_for_every_way_to_ask() -> None:
    for field in ("max_tokens", "max_completion_tokens", "min_tokens"):
        assert review({field: 100}, max_output_tokens=100).drop == frozenset()
        assert refusal({field: 101}, max_output_tokens=100).param == field
    assert refusal({"max_output_tokens": 101}, RESPONSES, max_output_tokens=100)
    assert refusal({"max_tokens": 101}, MESSAGES, max_output_tokens=100)


@pytest.mark.parametrize(
    ("path", "fields", "put"),
    [
        (CHAT, {}, {"max_tokens": 100}),
        (CHAT, {"max_tokens": None, "max_completion_tokens": None}, {"max_tokens": 100}),
        (CHAT, {"max_tokens": 5}, {}),
        (CHAT, {"max_completion_tokens": 5}, {}),
        (COMPLETIONS, {}, {"max_tokens": 100}),
        (RESPONSES, {}, {"max_output_tokens": 100}),
        (MESSAGES, {}, {}),
        (EMBEDDINGS, {}, {}),
        ("/tokenize", {}, {}),
    ],
)
def test_who_names_no_number_gets_the_cap(path: str, fields: dict[str, Any], put: dict[str, Any]) -> None:
    assert review(fields, path, max_output_tokens=100, cache_isolation=False).put == put
    assert review(fields, path, cache_isolation=False).put == {}


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, RESPONSES, MESSAGES, EMBEDDINGS])
def test_the_salt_of_the_cache_is_ours_whatever_the_client_says(path: str) -> None:
    for fields in ({}, {"cache_salt": "theirs"}, {"cache_salt": None}, {"cache_salt": 5}):
        assert review(fields, path).put == {"cache_salt": SALT}


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize", "/v1/messages/count_tokens"])
def test_no_salt_goes_where_nothing_is_cached(path: str) -> None:
    assert review({}, path).put == {}


def test_without_isolation_nothing_is_salted() -> None:
    assert review({"cache_salt": "theirs"}, cache_isolation=False) == Changes(frozenset(), {})


@pytest.mark.parametrize("field", [*DENIED, *DROPPED, "n", "tools", "chat_template_kwargs", "prompt"])
def test_the_owner_may_allow_a_field(field: str) -> None:
    assert review({field: [{"a": 1}] * 9999}, allowed_fields=f"stop, {field} ").drop == frozenset()


@pytest.mark.parametrize("value", [True, 1, "true"])
def test_an_answer_that_nothing_ends_needs_a_number(value: Any) -> None:
    assert refusal({"ignore_eos": value}).param == "ignore_eos"
    assert refusal({"ignore_eos": value, "max_tokens": None}).param == "ignore_eos"
    for bound in ({"max_tokens": 9}, {"max_completion_tokens": 9}, {"max_output_tokens": 9}):
        assert review({"ignore_eos": value, **bound}).drop == frozenset()
    assert review({"ignore_eos": value}, max_output_tokens=9).drop == frozenset()
    assert review({"ignore_eos": False}).drop == frozenset()


def test_the_owner_may_allow_one_argument_of_the_template() -> None:
    allowed = "chat_template_kwargs.custom"

    assert review({"chat_template_kwargs": {"custom": 1}}, allowed_fields=allowed).drop == frozenset()
    assert refusal({"chat_template_kwargs": {"other": 1}}, allowed_fields=allowed)


@pytest.mark.parametrize(
    "listed", ["modle", "model", "ignore_eos;n", "temperature, x", "structured_outputs.json"]
)
def test_allowing_what_is_never_refused_is_a_mistake(listed: str) -> None:
    with pytest.raises(SettingsError, match="ALLOWED_FIELDS"):
        Policy(Settings(allowed_fields=listed))


def named(begin: str, end: str) -> set[str]:
    """What stands in backticks in a part of the document."""
    text = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    return set(re.findall(r"`([\w.$]+)`", text[text.index(begin) : text.index(end)]))


def test_the_document_names_exactly_the_fields_that_are_refused() -> None:
    refused = named("**Refused**", "**Taken out**") & (FIELDS.keys() | PARTS)

    assert refused >= set(DENIED) | PARTS
    assert not [name for name in refused if FIELDS.get(name) in (PASS, DROP)]


def test_the_document_names_exactly_the_fields_that_are_taken_out() -> None:
    assert named("**Taken out**", "**Set**") == set(DROPPED)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), anything, max_size=4), st.sampled_from(RELAYED))
def test_any_value_of_any_field_passes_or_is_refused_by_name(fields: dict[str, Any], route: Any) -> None:
    refused: list[InvalidField] = []
    try:
        review(fields, route.path)
    except InvalidField as error:
        refused.append(error)
    assert all(error.param in fields and not MISREAD.search(error.message) for error in refused)
