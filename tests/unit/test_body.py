"""What a body asks for, and the one wish that may be added to it."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.body import parse_body, read_body, with_usage_wish
from app.errors import BadRequest, InvalidField, InvalidJson, RequestTooLarge

names = st.text(max_size=5).filter(lambda name: name != "model")
options = st.dictionaries(names, st.booleans() | st.integers(), max_size=3)


@given(options, st.none() | options)
def test_asking_for_usage_changes_nothing_else(fields: dict[str, Any], wish: Any) -> None:
    content = {**fields, "stream": True}
    if wish is not None:
        content["stream_options"] = wish
    body = parse_body(json.dumps(content, indent=1).encode())

    asked = json.loads(with_usage_wish(body))

    kept = {k: v for k, v in (wish or {}).items() if k != "continuous_usage_stats"}
    assert asked == {**content, "stream_options": {**kept, "include_usage": True}}


@pytest.mark.parametrize("wish", ["null", "{}", '{ "include_usage" : false }'])
def test_an_unset_wish_is_replaced_where_it_stands(wish: str) -> None:
    raw = '{"a" : 1.50, "stream_options":' + wish + ', "stream":true }'

    spliced = with_usage_wish(parse_body(raw.encode())).decode()

    assert spliced == '{"a" : 1.50, "stream_options":{"include_usage":true}, "stream":true }'


@pytest.mark.parametrize(
    ("content", "choices"),
    [
        ({}, 1),
        ({"n": 3}, 3),
        ({"n": 0}, 1),
        ({"n": "x"}, 1),
        ({"prompt": "one"}, 1),
        ({"prompt": ["one", "two"], "n": 2}, 4),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1], [2]]}, 2),
        ({"prompt": []}, 1),
    ],
)
def test_the_number_of_choices_follows_from_the_body(content: Any, choices: int) -> None:
    assert parse_body(json.dumps(content).encode()).count_choices(prompts=True) == choices


def test_only_text_completions_know_several_prompts() -> None:
    body = parse_body(b'{"prompt": ["one", "two"], "n": 3}')

    assert body.count_choices(prompts=False) == 3


@pytest.mark.parametrize("field", ["model", "stream", "stream_options"])
def test_null_is_as_good_as_absent(field: str) -> None:
    body = parse_body(json.dumps({field: None}).encode())

    assert (body.model, body.is_stream, body.wants_usage) == (None, False, False)


def test_a_wrong_type_names_its_field() -> None:
    with pytest.raises(InvalidField) as caught:
        parse_body(b'{"stream": "true"}')

    assert caught.value.param == "stream"


def test_a_body_is_read_up_to_the_limit_and_not_beyond() -> None:
    assert read_body(io.BytesIO(b"x" * 10), None, 10) == b"x" * 10
    with pytest.raises(RequestTooLarge):
        read_body(io.BytesIO(b"x" * 11), None, 10)


def test_a_body_shorter_than_declared_is_malformed() -> None:
    with pytest.raises(BadRequest):
        read_body(io.BytesIO(b"x" * 9), 10, 100)


def test_a_body_of_very_many_values_is_refused_unparsed() -> None:
    with pytest.raises(InvalidJson, match="too many values"):
        parse_body(b"[" * 300_000)
