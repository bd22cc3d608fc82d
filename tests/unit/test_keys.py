"""The key file's format, the ring, and the set that workers share."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.instance import Instance
from app.keys.errors import KeyFileError
from app.keys.file_store import FileStore
from app.keys.key_file import MAX_FILE_BYTES, parse_key_file
from app.keys.records import digest_of
from app.keys.ring import Ring
from app.keys.shared import SharedKeys

KEY = "sk-unit-0123456789abcdef"
DIGEST = "sha256:" + digest_of(KEY.encode())


def parse(content: Any) -> Any:
    return parse_key_file(json.dumps(content).encode())


@pytest.mark.parametrize(
    "entry",
    [KEY, {"key": KEY}, {"digest": DIGEST}, [KEY], [{"key": KEY}], {"key": KEY, "limits": {"rpm": 5}}],
)
def test_each_form_of_an_entry_holds_the_same_key(entry: Any) -> None:
    (record,) = parse({"client": entry}).records

    assert (record.name, record.scopes) == ("client", ("inference",))
    assert Ring.of([record]).find(KEY.encode()) == record


def test_records_hold_no_key() -> None:
    assert KEY not in repr(parse({"client": {"key": KEY, "id": "k1", "note": KEY}}))


@pytest.mark.parametrize(
    "entry",
    ["", "  ", " sk-spaced", "changeme", "ChangeMe", 5, None, True, {}, {"key": ""}, {"key": 7},
     {"key": KEY, "digest": DIGEST}, {"digest": "sha256:xyz"}, {"digest": DIGEST.upper()},
     {"digest": 5}, {"key": KEY, "id": ""}, {"key": KEY, "scopes": "admin"}, {"key": KEY, "scopes": [1]},
     {"key": KEY, "expires": "tomorrow"}, {"key": KEY, "expires": "2030-01-01T00:00:00"},
     {"key": KEY, "not_before": 5}, {"key": KEY, "disabled": "no"}, "x" * 513, [[KEY]]],
)  # fmt: skip
def test_a_bad_entry_is_left_out_and_named_without_its_key(entry: Any) -> None:
    found = parse({"good": "sk-good-0123456789abcdef", "bad one": entry})

    assert [record.name for record in found.records] == ["good"]
    assert found.problems[0].startswith(("entry 'bad one': ", "entry 'bad one', key 1 of its list: "))
    assert KEY not in found.problems[0]


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'"x"', b'{"a": "k1", "a": "k2"}', b'{"a": "same-key", "b": "same-key"}',
     b'{"a": ""}', b"\xff", b"x" * (MAX_FILE_BYTES + 1)],
)  # fmt: skip
def test_a_file_that_cannot_be_told_apart_is_refused_whole(data: bytes) -> None:
    with pytest.raises(KeyFileError) as caught:
        parse_key_file(data)

    assert "same-key" not in str(caught.value)


def test_a_key_under_two_names_belongs_to_nobody() -> None:
    shared = {"key": "same-key", "disabled": True}
    found = parse({"a": "same-key", "b": ["same-key", "own-key-of-b"], "c": shared})

    assert [record.name for record in found.records] == ["b"]
    assert found.problems == ["entries ['a', 'b', 'c'] hold the same key"]


def test_a_key_twice_under_one_name_counts_once() -> None:
    found = parse({"a": ["same-key", "same-key"]})

    assert (len(found.records), found.problems) == (1, [])


@pytest.mark.parametrize("wrap", [lambda d: b"\xef\xbb\xbf" + d, lambda d: d + b"\r\n", lambda d: b" " + d])
def test_a_mark_or_white_space_around_the_file_does_no_harm(wrap: Any) -> None:
    assert len(parse_key_file(wrap(b'{"a": "some-key"}')).records) == 1


@given(
    st.binary(max_size=60)
    | st.dictionaries(st.text(), st.none() | st.text() | st.lists(st.text())).map(
        lambda content: json.dumps(content).encode()
    )
)
def test_any_bytes_are_a_key_file_or_refused(data: bytes) -> None:
    try:
        found = parse_key_file(data)
    except KeyFileError:
        return
    ring = Ring.of(found.records)
    assert len(ring.by_digest) == len(found.records) > 0


@pytest.mark.parametrize(
    ("fields", "is_active"),
    [
        ({}, True),
        ({"expires": "2020-01-01T00:00:00Z"}, False),
        ({"expires": "2999-01-01T00:00:00+02:00"}, True),
        ({"not_before": "2999-01-01T00:00:00Z"}, False),
        ({"not_before": "2020-01-01T00:00:00Z"}, True),
        ({"disabled": True}, False),
    ],
)
def test_time_and_state_decide_whether_a_key_counts(fields: dict[str, Any], is_active: bool) -> None:
    ring = Ring.of(parse({"client": {"key": KEY, **fields}}).records)

    assert (ring.find(KEY.encode()) is not None) == is_active


def test_an_inactive_admin_key_still_makes_the_set_one_with_an_admin() -> None:
    admin = {"key": KEY, "scopes": ["admin"], "disabled": True}

    assert Ring.of(parse({"a": "sk-plain", "boss": admin}).records).has_admin
    assert not Ring.of(parse({"a": "sk-plain"}).records).has_admin


def test_a_key_beyond_the_length_limit_is_unknown() -> None:
    long = "k" * 512
    ring = Ring.of(parse({"client": long}).records)

    assert ring.find(long.encode()) is not None
    assert ring.find(long.encode() + b"k") is None


@pytest.fixture
def instance() -> Instance:
    return Instance()


def test_another_worker_sees_the_set_at_once(tmp_path: Path, instance: Instance) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"first": KEY}))
    one, other = (SharedKeys(FileStore(str(file)), instance) for _ in range(2))
    assert not other.are_loaded

    one.reload(strict=True)
    assert other.ring.find(KEY.encode()) is not None
    file.write_text(json.dumps({"second": "sk-second"}))
    result = one.reload(strict=True)

    assert (result.added, result.removed, result.generation) == (["second"], ["first"], 2)
    assert other.ring.find(KEY.encode()) is None


def test_an_unchanged_file_makes_no_new_generation(tmp_path: Path, instance: Instance) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"first": KEY}))
    keys = SharedKeys(FileStore(str(file)), instance)

    assert keys.reload(strict=True).generation == keys.reload(strict=True).generation == 1


def test_a_reload_takes_all_or_nothing_but_a_start_what_it_can(tmp_path: Path, instance: Instance) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"good": KEY, "bad": ""}))
    keys = SharedKeys(FileStore(str(file)), instance)

    with pytest.raises(KeyFileError):
        keys.reload(strict=True)
    assert not keys.are_loaded
    assert keys.reload(strict=False).keys == 1


def test_ten_thousand_keys_fit_into_shared_memory(tmp_path: Path, instance: Instance) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({f"client-{n}": f"sk-{n:020}" for n in range(10_000)}))
    keys = SharedKeys(FileStore(str(file)), instance)

    keys.reload(strict=True)

    assert keys.ring.find(b"sk-00000000000000009999") is not None


def test_a_duty_is_claimed_once_in_its_time(instance: Instance) -> None:
    assert instance.claim("refresh_due", 60)
    assert not instance.claim("refresh_due", 60)
    instance.set("refresh_due", time.monotonic() - 1)
    assert instance.claim("refresh_due", 60)
