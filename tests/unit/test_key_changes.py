"""What commands do to the content of a key file, and what they leave as it was."""

import copy
import json
from typing import Any

import pytest

from app.keys import changes
from app.keys.changes import ChangeRefused
from app.keys.errors import KeyFileError
from app.keys.key_file import encode_key_file, parse_key_file
from app.keys.records import digest_of

KEY, OTHER = "sk-first-0123456789abcdef", "sk-other-0123456789abcdef"
LATER, MUCH_LATER = "2090-01-01T00:00:00Z", "2099-01-01T00:00:00Z"


def records(entries: dict[str, Any]) -> Any:
    return parse_key_file(json.dumps(entries).encode()).records


def test_a_new_entry_holds_the_digest_and_no_key() -> None:
    entry = changes.new_entry(KEY, "k1", is_plain=False, note=None, scopes=["admin"])

    assert entry["digest"] == f"sha256:{digest_of(KEY.encode())}"
    assert (entry["id"], entry["ending"], entry["scopes"]) == ("k1", "cdef", ["admin"])
    assert KEY not in str(entry)
    assert "note" not in entry


def test_the_ending_of_a_short_key_would_tell_too_much_of_it() -> None:
    assert changes.ending_of("sk-short") is None


def test_adding_leaves_every_other_entry_as_it_is() -> None:
    before = {"a": KEY, "b": [OTHER, {"key": "sk-x", "limits": {"rpm": 1}, "odd": None}], "bad": 7}
    entries = copy.deepcopy(before)

    changes.add(entries, "new", "sk-new-0123456789abcdef", another=False)

    assert entries.pop("new") == "sk-new-0123456789abcdef"
    assert entries == before


def test_a_known_name_gets_a_second_key_only_if_that_is_meant() -> None:
    entries: dict[str, Any] = {"a": KEY}
    with pytest.raises(ChangeRefused, match="rotate"):
        changes.add(entries, "a", OTHER, another=False)

    changes.add(entries, "a", OTHER, another=True)

    assert entries == {"a": [KEY, OTHER]}


@pytest.mark.parametrize("name", ["", " ", KEY, "n" * 200, "_allow_empty"])
def test_a_name_that_the_gateway_would_refuse_is_not_written(name: str) -> None:
    entries: dict[str, Any] = {}

    with pytest.raises(ChangeRefused):
        changes.add(entries, name, KEY, another=False)

    assert entries == {}


def test_rotating_ends_the_old_key_later_and_makes_one_with_the_same_rights() -> None:
    old = {
        "key": KEY,
        "id": "k1",
        "scopes": ["admin"],
        "limits": {"rpm": 3},
        "note": "n",
        "expires": MUCH_LATER,
    }
    entries: dict[str, Any] = {"a": old}

    key = changes.rotate(entries, "a", None, LATER)

    ended, new = entries["a"]
    assert ended == {**old, "expires": LATER}
    assert (new["scopes"], new["limits"], new["note"]) == (["admin"], {"rpm": 3}, "n")
    assert new["digest"] == f"sha256:{digest_of(key.encode())}"
    assert "expires" not in new


def test_rotating_a_plain_key_keeps_it_valid_for_the_overlap() -> None:
    entries: dict[str, Any] = {"a": KEY}

    changes.rotate(entries, "a", None, LATER)

    old, _new = records(entries)
    assert (old.digest, old.expires is not None) == (digest_of(KEY.encode()), True)


def test_rotating_never_prolongs_a_key_that_ends_sooner() -> None:
    entries: dict[str, Any] = {"a": {"key": KEY, "expires": LATER}}

    changes.rotate(entries, "a", None, MUCH_LATER)

    assert entries["a"][0] == {"key": KEY, "expires": LATER}


def test_rotating_one_of_several_keys_leaves_the_others() -> None:
    entries: dict[str, Any] = {"a": [{"key": KEY, "id": "k1"}, {"key": OTHER, "id": "k2"}]}

    changes.rotate(entries, "a", "k1", LATER)

    assert [member.get("expires") for member in entries["a"]] == [LATER, None, None]


def test_the_new_key_may_have_an_end_of_its_own() -> None:
    entries: dict[str, Any] = {"a": KEY}

    changes.rotate(entries, "a", None, LATER, MUCH_LATER)

    assert entries["a"][1]["expires"] == MUCH_LATER


def test_expiring_sets_the_end_of_one_key_or_of_all() -> None:
    entries: dict[str, Any] = {"a": [{"key": KEY, "id": "k1"}, OTHER], "b": "sk-b-0123456789abcdef"}

    changes.expire(entries, "a", "k1", LATER)
    changes.expire(entries, "b", None, LATER)

    assert entries["a"] == [{"key": KEY, "id": "k1", "expires": LATER}, OTHER]
    assert entries["b"] == {"key": "sk-b-0123456789abcdef", "expires": LATER}


def test_expiring_may_also_prolong() -> None:
    entries: dict[str, Any] = {"a": {"key": KEY, "expires": LATER}}

    changes.expire(entries, "a", None, MUCH_LATER)

    assert entries["a"]["expires"] == MUCH_LATER


def test_a_key_is_removed_by_its_id_also_one_that_has_none_of_its_own() -> None:
    entries: dict[str, Any] = {"a": [KEY, OTHER]}

    changes.remove(entries, "a", "k_" + digest_of(KEY.encode())[:8], may_empty=False)

    assert entries == {"a": OTHER}


def test_an_entry_that_cannot_be_used_can_be_removed() -> None:
    entries: dict[str, Any] = {"a": KEY, "bad": {"key": 7}}

    changes.remove(entries, "bad", None, may_empty=False)

    assert entries == {"a": KEY}


def test_the_last_key_goes_only_if_that_is_meant_and_the_file_says_so() -> None:
    entries: dict[str, Any] = {"a": KEY}
    with pytest.raises(ChangeRefused, match="last key"):
        changes.remove({"a": KEY}, "a", None, may_empty=False)

    changes.remove(entries, "a", None, may_empty=True)
    assert entries == {"_allow_empty": True}

    changes.add(entries, "b", OTHER, another=False)
    assert entries == {"b": OTHER}


@pytest.mark.parametrize(("name", "key_id"), [("unknown", None), ("a", "k_unknown"), ("_allow_empty", None)])
def test_what_is_not_there_cannot_be_changed(name: str, key_id: str | None) -> None:
    for change in (
        lambda entries: changes.rotate(entries, name, key_id, LATER),
        lambda entries: changes.expire(entries, name, key_id, LATER),
        lambda entries: changes.remove(entries, name, key_id, may_empty=True),
    ):
        with pytest.raises(ChangeRefused):
            change({"a": KEY})


def test_an_entry_that_cannot_be_used_cannot_be_rotated() -> None:
    with pytest.raises(KeyFileError):
        changes.rotate({"a": {"key": 7}}, "a", None, LATER)


def test_a_file_that_is_too_large_for_people_is_written_compactly() -> None:
    entries = {"a": KEY, "b": ["sk-b-0123456789abcdef"]}
    laid_out = encode_key_file(entries)

    compact = encode_key_file(entries, len(laid_out) - 1)

    assert len(compact) < len(laid_out)
    assert json.loads(compact) == json.loads(laid_out) == entries
    with pytest.raises(KeyFileError, match="more than 0 KiB"):
        encode_key_file(entries, len(compact) - 1)
