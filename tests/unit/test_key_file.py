"""The key file's format: what is an entry, what is told about one that is none, and never a key in it."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from app.keys.errors import KeyFileError
from app.keys.key_file import MAX_FILE_BYTES, parse_key_file
from app.keys.records import digest_of
from app.keys.ring import Ring

KEY = "sk-unit-0123456789abcdef"
DIGEST = "sha256:" + digest_of(KEY.encode())
OUR_KEY = "vgw_G8MW0XT4_PGtCKqyTyYQuSFuhxNibPATWIJ1Lhc2R8lkd"  # as we make them  # pragma: allowlist secret
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "keys.schema.json").read_text())


def parse(content: Any) -> Any:
    return parse_key_file(json.dumps(content).encode())


def fits_schema(content: Any) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(content)


GOOD = [
    KEY,
    {"key": KEY},
    {"digest": DIGEST},
    [KEY],
    [{"key": KEY}],
    {"key": KEY, "limits": {"rpm": 5}, "note": "x", "owner": "y", "created": "2026-11-25T10:00:00Z"},
    {"key": KEY, "cache_group": "team"},
    {"key": KEY, "expires": "2999-01-01T00:00Z", "not_before": "2020-02-29T23:59:59.5+05:30"},
]


@pytest.mark.parametrize("entry", GOOD)
def test_each_form_of_an_entry_holds_the_same_key(entry: Any) -> None:
    found = parse({"client": entry})

    (record,) = found.records
    assert (record.name, record.scopes, found.problems, found.warnings) == ("client", ("inference",), [], [])
    assert Ring.of([record]).find(KEY.encode()) == record
    assert fits_schema({"client": entry})


def test_records_hold_no_key() -> None:
    assert KEY not in repr(parse({"client": {"key": KEY, "id": "k1", "note": KEY}}))


BAD = [
    *(
        "",
        "  ",
        " sk-spaced",
        "changeme",
        "ChangeMe",
        "sk-replace-this-with-a-long-random-key",
        "your-api-key",
    ),
    *(
        "<your key>",
        "${API_KEY}",
        "sk-...",
        "sk-xxxxxxxx",
        "x" * 513,
        "sk-line\nbreak-0123456789",
        OUR_KEY[:-1],
    ),
    *(5, None, True, {}, [[KEY]], {"key": ""}, {"key": 7}, {"key": KEY, "digest": DIGEST}),
    *({"digest": "sha256:xyz"}, {"digest": DIGEST.upper()}, {"digest": 5}, {"hash": DIGEST}),
    *({"key": KEY, "id": ""}, {"key": KEY, "id": 7}, {"key": KEY, "id": KEY}, {"key": KEY, "id": "i" * 65}),
    {"key": KEY, "id": "a\nb"},
    *({"key": KEY, "scopes": "admin"}, {"key": KEY, "scopes": [1]}, {"key": KEY, "disabled": "no"}),
    *(
        {"key": KEY, "cache_group": ""},
        {"key": KEY, "cache_group": 5},
        {"key": KEY, "cache_group": "a" * 129},
    ),
    {"key": KEY, "cache_group": "a\nb"},
    *({"key": KEY, "expires": "tomorrow"}, {"key": KEY, "expires": "2030-01-01T00:00:00"}),
    *({"key": KEY, "expires": "2030-02-30T00:00:00Z"}, {"key": KEY, "not_before": 5}),
]


@pytest.mark.parametrize("entry", BAD)
def test_a_bad_entry_is_left_out_and_named_without_its_key(entry: Any) -> None:
    found = parse({"good": "sk-good-0123456789abcdef", "bad one": entry})

    assert [record.name for record in found.records] == ["good"]
    assert re.match(r"entry 'bad one'(, key 1 of its list)?: .", found.problems[0])
    assert not [key for key in (KEY, OUR_KEY[:-1]) if key in found.problems[0]]


def test_one_bad_key_of_a_list_leaves_the_others_and_is_told_by_its_number() -> None:
    found = parse({"team": [KEY, {"key": 7}, "sk-third-0123456789abcdef"]})

    assert len(found.records) == 2
    assert found.problems[0].startswith("entry 'team', key 2 of its list: ")


@pytest.mark.parametrize(
    "name", [KEY, OUR_KEY, "n" * 129, "", " ", "a\nb", "\x1b[31m", "Bearer " + KEY, " " + KEY]
)
def test_a_bad_name_is_not_repeated_where_it_may_be_a_key(name: str) -> None:
    found = parse({"good": KEY, name: "service-a-0123456789"})

    assert [record.name for record in found.records] == ["good"]
    assert not name.strip() or name not in found.problems[0]
    assert not fits_schema({name: "service-a-0123456789"})


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'"x"', b'{"a": "k1", "a": "k2"}', b'{"a": "same-key", "b": "same-key"}',
     b'{"a": ""}', b"\xff", b"x" * (MAX_FILE_BYTES + 1), b'{"_allow_empty": false}', b'{"_allow_empty": 1}',
     b'{"_allow_empty": true, "a": ""}', b"[" * 100_000],
)  # fmt: skip
def test_a_file_that_cannot_be_told_apart_is_refused_whole(data: bytes) -> None:
    with pytest.raises(KeyFileError) as caught:
        parse_key_file(data)

    assert "same-key" not in str(caught.value)


def test_more_keys_than_shared_memory_has_places_for_are_refused() -> None:
    many = json.dumps({f"n{number}": f"{number:030}" for number in range(65_537)})

    with pytest.raises(KeyFileError, match="more than 65536 keys"):
        parse_key_file(many.encode())


def test_an_empty_file_that_says_so_lets_nobody_in() -> None:
    assert parse({"_allow_empty": True}).records == []
    assert fits_schema({"_allow_empty": True})


def test_a_key_under_two_names_belongs_to_nobody() -> None:
    shared = {"key": "same-key", "disabled": True}
    found = parse({"a": "same-key", "b": ["same-key", "own-key-of-b"], "c": shared})

    assert [record.name for record in found.records] == ["b"]
    assert found.problems == ["entries ['a', 'b', 'c'] hold the same key"]


def test_a_key_and_its_digest_under_two_names_are_the_same_key() -> None:
    with pytest.raises(KeyFileError, match="hold the same key"):
        parse({"a": KEY, "b": {"digest": DIGEST}})


def test_a_key_twice_under_one_name_counts_once() -> None:
    found = parse({"a": [KEY, KEY]})

    assert (len(found.records), found.problems) == (1, [])


@pytest.mark.parametrize(
    ("entry", "warning"),
    [
        ("short-key", "entry 'a': the key has fewer than 20 characters and may be guessed"),
        ({"key": KEY, "expire": "2030-01-01T00:00Z"}, "entry 'a': the name 'expire' is not known"),
        ({"key": KEY, KEY: 1}, "entry 'a': the name of one field is not known"),
        ([{"key": KEY, "id": "i"}, {"key": KEY + "2", "id": "i"}], "2 keys have the id 'i'"),
    ],
)
def test_what_is_risky_is_usable_and_told(entry: Any, warning: str) -> None:
    found = parse({"a": entry})

    assert found.problems == []
    assert found.warnings[0].startswith(warning)
    assert KEY not in found.warnings[0]


def test_of_many_problems_the_first_are_told_and_the_rest_counted() -> None:
    with pytest.raises(KeyFileError, match="and 981 more$") as caught:
        parse({f"name-{number}": "" for number in range(1000)})

    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize("wrap", [lambda d: b"\xef\xbb\xbf" + d, lambda d: d + b"\r\n", lambda d: b" " + d])
def test_a_mark_or_white_space_around_the_file_does_no_harm(wrap: Any) -> None:
    assert len(parse_key_file(wrap(b'{"a": "some-key"}')).records) == 1


def test_what_an_existing_key_manager_writes_is_read_as_it_is() -> None:
    written = b'{"service-a": "sk-abc123", "opencode-integration": "sk-0123456789abcdefghijklmnopqrstuv"}\n'

    assert [record.name for record in parse_key_file(written).records] == [
        "service-a",
        "opencode-integration",
    ]


@pytest.mark.parametrize("entry", [entry for entry in BAD if not isinstance(entry, str) or len(entry) > 512])
def test_what_the_schema_is_for_it_refuses(entry: Any) -> None:
    is_for_dates_only = entry == {"key": KEY, "expires": "2030-02-30T00:00:00Z"}

    assert fits_schema({"client": entry}) == is_for_dates_only
