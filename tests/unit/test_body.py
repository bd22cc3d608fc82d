"""What a body asks for, and the one wish that may be added to it."""

import io
import json
from typing import Any

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.body import RequestBody, edited, read_body, usage_wish
from app.body import parse_body as parse_within
from app.errors import BadRequest, InvalidField, InvalidJson, RequestTooLarge

MAX_VALUES = 20_000


def parse_body(raw: bytes) -> RequestBody:
    return parse_within(raw, MAX_VALUES)


def asking_for_usage(body: RequestBody) -> bytes:
    return edited(body, frozenset(), {"stream_options": usage_wish(body)})


names = st.text(max_size=5).filter(lambda name: name != "model")
options = st.dictionaries(names, st.booleans() | st.integers(), max_size=3)


@given(options, st.none() | options)
def test_asking_for_usage_changes_nothing_else(fields: dict[str, Any], wish: Any) -> None:
    content = {**fields, "stream": True}
    if wish is not None:
        content["stream_options"] = wish
    body = parse_body(json.dumps(content, indent=1).encode())

    asked = json.loads(asking_for_usage(body))

    kept = {k: v for k, v in (wish or {}).items() if k != "continuous_usage_stats"}
    assert asked == {**content, "stream_options": {**kept, "include_usage": True}}


def test_usage_with_every_event_is_not_asked_for() -> None:
    body = parse_body(b'{"stream_options":{"continuous_usage_stats":true,"x":1}}')

    assert usage_wish(body) == {"include_usage": True, "x": 1}


@pytest.mark.parametrize("wish", ["null", "{}", '{ "include_usage" : false }'])
def test_an_unset_wish_is_replaced_where_it_stands(wish: str) -> None:
    raw = '{"a" : 1.50, "stream_options":' + wish + ', "stream":true }'

    spliced = asking_for_usage(parse_body(raw.encode())).decode()

    assert spliced == '{"a" : 1.50,"stream_options":{"include_usage":true},"stream":true}'


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


members = st.dictionaries(
    st.text(max_size=3), st.none() | st.integers() | st.text() | st.lists(st.booleans())
)


@given(members, members, st.sets(st.text(max_size=3)), st.sampled_from([None, 1]), st.booleans())
def test_an_edited_body_has_what_was_put_and_not_what_was_dropped(
    content: dict[str, Any], put: dict[str, Any], drop: set[str], indent: int | None, ascii_only: bool
) -> None:
    body = parse_body(json.dumps(content, indent=indent, ensure_ascii=ascii_only).encode())
    kept = {name: value for name, value in content.items() if name not in drop}

    assert json.loads(edited(body, drop - put.keys(), put)) == kept | put


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        ("{}", '{"s":1}'),
        (" { } ", ' {"s":1 } '),
        ('{"a" : 1.50}', '{"s":1,"a" : 1.50}'),
        (r'{"a": 1.50, "\u0073" : 7, "d":[ ]}', r'{"a": 1.50,"\u0073" : 1}'),
        ('{"d":0}', '{"s":1}'),
    ],
)
def test_the_other_members_stay_byte_for_byte(raw: str, sent: str) -> None:
    assert edited(parse_body(raw.encode()), {"d"}, {"s": 1}).decode() == sent


def test_a_body_that_needs_no_change_is_the_one_that_came() -> None:
    body = parse_body(b' {"a" :1 }')

    assert edited(body, {"b"}, {}) == body.raw


@pytest.mark.parametrize("value", ["[]", "{}", '""', "null", '"a"'])
def test_a_body_has_no_more_values_than_are_allowed(value: str) -> None:
    allowed = '{"a":[' + ",".join([value] * (MAX_VALUES // 2 - 2)) + "]}"

    assert parse_body(allowed.encode()).fields["a"]
    with pytest.raises(InvalidJson, match="too many values"):
        parse_body(allowed.replace("]}", ("," + value) * (MAX_VALUES // 2 + 2) + "]}").encode())


def test_numbers_of_a_list_count_an_eighth() -> None:
    def of(length: int) -> bytes:
        return b'{"input":[[' + b"7 ," * length + b"7]]}"

    assert parse_body(of(7 * MAX_VALUES)).fields["input"]
    with pytest.raises(InvalidJson, match="too many values"):
        parse_body(of(9 * MAX_VALUES))


def test_names_with_numbers_count_as_any_other() -> None:
    members = ",".join(f'"{number}":1' for number in range(MAX_VALUES))

    with pytest.raises(InvalidJson, match="too many values"):
        parse_body(("{" + members + "}").encode())


def test_signs_in_a_text_are_no_values() -> None:
    text = ',[{\\",' * MAX_VALUES

    assert parse_body(json.dumps({"a": text, "b": [text]}).encode()).fields["a"] == text


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ('{"a":1,"a":1}', "stands twice"),
        ('{"a":NaN}', "NaN"),
        ('{"a":1e999}', "too large"),
        ('{"a":-1e999}', "too large"),
        ('{"a":' + "9" * 401 + "}", "too long"),
        ('{"a":' + "[" * 64 + "]" * 64 + "}", "nested too deeply"),
        ('{"a":' + "[" * 11_000 + "]" * 11_000 + "}", "not valid JSON"),
        ("[]", "not an object"),
    ],
)
def test_a_body_that_is_refused_says_why(raw: str, why: str) -> None:
    with pytest.raises(InvalidJson, match=why):
        parse_body(raw.encode())


def test_as_many_levels_as_vllm_takes_are_taken() -> None:
    assert parse_body(b'{"a":' + b"[" * 63 + b"]" * 63 + b"}").fields


def test_a_long_body_lets_others_run_while_it_is_read() -> None:
    numbers = b'{"a":[' + b"1," * (MAX_VALUES - 10) + b"1]}"
    ticks: list[int] = []

    def tick() -> None:
        while True:
            ticks.append(1)
            gevent.sleep(0.0001)

    other = gevent.spawn(tick)
    gevent.sleep(0)

    parse_body(numbers)

    other.kill()
    assert len(ticks) >= 3
