"""Whatever the bytes of a key file are, it is read in one meaning, or refused without a key in the words."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from app.keys.errors import KeyFileError
from app.keys.key_file import parse_key_file
from app.keys.records import read_time
from app.keys.ring import Ring
from tests.unit.test_key_file import DIGEST, KEY, OUR_KEY, fits_schema, parse

ENTRY_FIELDS = ["key", "digest", "id", "scopes", "expires", "not_before", "disabled", "limits", "cache_group"]

texts = st.text(max_size=12) | st.sampled_from([KEY, OUR_KEY, DIGEST, "2030-01-01T00:00:00Z", "admin"])
entries = st.recursive(
    st.booleans() | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(ENTRY_FIELDS) | texts,
            inner | st.lists(texts, max_size=2),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(
    st.binary(max_size=60) | st.dictionaries(texts, entries, max_size=4).map(lambda c: json.dumps(c).encode())
)
def test_any_bytes_are_a_key_file_or_refused_and_no_text_about_them_holds_a_key(data: bytes) -> None:
    try:
        found = parse_key_file(data)
    except KeyFileError as error:
        told = str(error)
    else:
        told = " ".join([*found.problems, *found.warnings])
        assert len(Ring.of(found.records).by_digest) == len(found.records)
        assert found.records or b"_allow_empty" in data

    assert not [key for key in (KEY, OUR_KEY) if key in told]


@given(st.dictionaries(texts, entries, min_size=1, max_size=3))
def test_what_the_gateway_takes_without_a_word_fits_the_schema(content: Any) -> None:
    assume([] not in content.values())  # a name without a key is nobody, whatever it is called
    try:
        found = parse(content)
    except KeyFileError:
        return
    assert found.problems or fits_schema(content)


few_keys = st.sampled_from([f"key-{letter}-0123456789abcdef" for letter in "abc"])
holders = st.sampled_from(["one", "two", "three"])


@given(st.dictionaries(holders, st.lists(few_keys, min_size=1, max_size=3), min_size=1))
def test_a_key_opens_for_its_only_holder_and_for_nobody_else(content: dict[str, list[str]]) -> None:
    expected = {}
    for key in {key for keys in content.values() for key in keys}:
        names = [name for name, keys in content.items() if key in keys]
        expected |= {key: names[0]} if len(names) == 1 else {}

    try:
        ring = Ring.of(parse(content).records)
    except KeyFileError:
        assert expected == {}
        return
    found = {key: ring.find(key.encode()) for keys in content.values() for key in keys}
    assert {key: record.name for key, record in found.items() if record} == expected


zones = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1970, 1, 3), datetime(2999, 12, 30), timezones=zones), st.booleans())
def test_every_moment_is_read_in_every_zone(moment: datetime, is_rough: bool) -> None:
    text = moment.isoformat(timespec="minutes" if is_rough else "microseconds")

    assert read_time(text.replace("+00:00", "Z")) == datetime.fromisoformat(text).timestamp()


@given(st.text("0123456789-+:.TZ ", max_size=30))
def test_what_is_no_moment_is_refused_with_one_exception(text: str) -> None:
    try:
        read_time(text)
    except ValueError:
        return
    assert datetime.fromisoformat(text).tzinfo is not None
