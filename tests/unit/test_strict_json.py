"""Bodies have one meaning or are refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.strict_json import StrictJsonError, decode_object, member_span

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
objects = st.dictionaries(st.text(), values, max_size=5)


@given(objects, st.booleans(), st.sampled_from([None, 1]))
def test_every_json_object_is_read_as_json_reads_it(
    content: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(content, ensure_ascii=ascii_only, indent=indent)

    assert decode_object(text.encode()) == content


@given(st.binary(max_size=100) | st.text(alphabet='{}[]":,0123eE.-\\u dtn', max_size=60).map(str.encode))
def test_anything_else_is_refused_with_one_exception(data: bytes) -> None:
    try:
        content = decode_object(data)
    except StrictJsonError:
        return
    assert content == json.loads(data)


@pytest.mark.parametrize("number", ["1e309", "-1E999", "1" + "0" * 309 + ".0"])
def test_a_number_that_no_float_holds_is_refused(number: str) -> None:
    with pytest.raises(StrictJsonError):
        decode_object(b'{"a": %b}' % number.encode())


@pytest.mark.parametrize("text", [r'{"a":"\ud83d\ude00"}', '{"a":"😀"}', r'{"a":"\\ud800"}'])
def test_pairs_of_surrogates_are_text(text: str) -> None:
    assert decode_object(text.encode()) == json.loads(text)


@given(objects, st.text(), values, objects, st.sampled_from([None, 2]))
def test_a_member_is_found_where_it_stands(
    before: dict[str, Any], name: str, value: Any, after: dict[str, Any], indent: int | None
) -> None:
    content = {k: v for k, v in before.items() if k != name} | {name: value}
    content |= {k: v for k, v in after.items() if k not in content}
    text = " " + json.dumps(content, indent=indent)

    start, end = member_span(text, name)

    assert json.loads(text[start:end]) == value


def test_a_missing_member_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        member_span('{"a": {"b": 1}}', "b")
