"""Bodies have one meaning or are refused."""

import json
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.strict_json import StrictJsonError, count_values, decode_object, member_spans, most_values
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

    spans = list(member_spans(text, lambda: None))

    assert [span[0] for span in spans] == list(content)
    for found, begin, start, end in spans:
        assert json.loads("{" + text[begin:end] + "}") == {found: content[found]}
        assert json.loads(text[start:end]) == content[found]


@given(objects, st.randoms(use_true_random=False))
def test_every_spelling_of_an_object_has_its_one_meaning(content: dict[str, Any], rng: Random) -> None:
    text = Writer(rng).value(content)

    assert decode_object(text.encode()) == content
    found = {name: json.loads(text[start:end]) for name, _, start, end in member_spans(text, lambda: None)}
    assert found == content


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


@given(objects, st.booleans(), st.sampled_from([None, 1]))
def test_values_are_counted_as_they_are_parsed(content: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(content, ensure_ascii=ascii_only, indent=indent).encode()

    def size(value: Any) -> int:
        below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + sum(size(child) for child in below)

    *_, counted = count_values(text)
    assert size(content) / 8 <= counted <= most_values(text)
    assert counted <= 4 * size(content)


def test_counting_tells_how_far_it_is() -> None:
    told = list(count_values(b'{"a":[' + b'"x",' * 50_000 + b"1]}"))

    assert len(told) > 5
    assert told == sorted(told)


@pytest.mark.parametrize("data", [b"", b'"', b'"\\', b'{"a\\', b"\\", b'"\\"'])
def test_counting_what_is_no_json_comes_to_an_end(data: bytes) -> None:
    assert list(count_values(data))
