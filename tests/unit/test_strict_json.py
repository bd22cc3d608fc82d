"""Bodies have one meaning or are refused."""

import json
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.strict_json import MOST_PARTS, StrictJsonError, decode_object, has_few_parts, member_span
from tests.fuzz.json_text import Writer, some_fields, spoiled

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


@given(objects, st.randoms(use_true_random=False))
def test_every_spelling_of_an_object_has_its_one_meaning(content: dict[str, Any], rng: Random) -> None:
    text = Writer(rng).value(content)

    assert decode_object(text.encode()) == content
    for name, value in content.items():
        start, end = member_span(text, name)
        assert json.loads(text[start:end]) == value


@given(st.text(alphabet='{}[]":,0123eE.-\\u dtnalse', max_size=60).map(lambda tail: '{"a":' + tail))
def test_another_parser_reads_the_same_in_what_is_accepted(text: str) -> None:
    try:
        content = decode_object(text.encode())
    except StrictJsonError:
        return
    assert msgspec.json.decode(text.encode()) == content


@settings(deadline=None)  # some of the texts are long
@given(st.randoms(use_true_random=False))
def test_what_is_wrong_in_one_way_is_refused(rng: Random) -> None:
    text = Writer(rng).value(some_fields(rng))

    with pytest.raises(StrictJsonError):
        decode_object(spoiled(rng, text))


MANY = MOST_PARTS + 1


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":"%b"}' % (b"," * MANY),
        b'{"a":"%b"}' % (b'\\",[{' * MANY),
        b'{"a":[%b0]}' % (b"0," * (MOST_PARTS - 10)),
        b'{"a":"%b' % (b'\\",' * MANY),
        b"",
    ],
    ids=["commas in a text", "escapes in a text", "many numbers", "a text without end", "nothing"],
)
def test_a_text_may_hold_whatever_it_likes(text: bytes) -> None:
    assert has_few_parts(text)


@pytest.mark.parametrize("part", [b"0,", b"[],", b'"",', b'"a":1,', b'","', b"{", b"["])
def test_very_many_parts_are_told_before_they_are_parsed(part: bytes) -> None:
    assert not has_few_parts(b'{"a\\"":[' + part * MANY)
