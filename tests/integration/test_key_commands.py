"""`flask --app wsgi keys …` on a file and on a secret: what is written and shown, and several writers."""

import json
import re
import time

import pytest

from app.keys.records import digest_of
from tests.keys_place import KeysPlace

OLD = "sk-old-0123456789abcdef"
KEY_FORM = r"vgw_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}"


def test_a_key_lives_from_its_making_to_its_removal(place: KeysPlace) -> None:
    keys = place.keys
    keys("create-secret")

    key = keys("add", "--name", "opencode-integration")
    assert re.fullmatch(KEY_FORM, key)
    (record,) = place.parsed().records
    assert (record.name, record.digest) == ("opencode-integration", digest_of(key.encode()))

    second = keys("rotate", "--name", "opencode-integration", "--overlap", "24h")
    old, new = place.parsed().records
    assert 86_000 < (old.expires or 0) - time.time() <= 86_401
    assert (new.digest, new.expires) == (digest_of(second.encode()), None)

    keys("expire", "--name", "opencode-integration", "--id", old.key_id)
    assert [row["state"] for row in keys.listed()] == ["expired", "active"]

    keys("remove", "--name", "opencode-integration", "--id", old.key_id)
    assert place.parsed().records == [new]
    assert key.encode() not in place.content()
    assert second.encode() not in place.content()


def test_the_key_alone_is_the_output_and_the_next_step_is_told(place: KeysPlace) -> None:
    keys = place.keys
    keys("create-secret")

    _, output, told = keys.run("add", "--name", "a")

    assert re.fullmatch(KEY_FORM + "\n", output)
    query = "?version=1" if place.running else ""
    assert f'"$GATEWAY/admin/reload-keys{query}"' in told
    assert output.strip() not in told


def test_the_list_is_a_table_without_keys(place: KeysPlace) -> None:
    place.put({"plain": OLD, "rich": {"key": "sk-rich-0123456789abcdef", "id": "op", "note": "n",
                                      "disabled": True, "scopes": ["inference", "admin"],
                                      "expires": "2099-01-01T00:00:00Z"}, "bad": {"key": 7}})  # fmt: skip

    status, output, told = place.keys.run("list")

    head, plain, rich, bad = output.splitlines()
    assert status == 0
    assert head.split() == ["NAME", "ID", "STATE", "SCOPES", "EXPIRES", "ENDING", "NOTE"]
    assert plain.split()[:4] == ["plain", "k_" + digest_of(OLD.encode())[:8], "active", "inference"]
    assert rich.split() == ["rich", "op", "disabled", "inference,admin", "2099-01-01T00:00:00Z", "…cdef", "n"]
    assert bad.split()[:4] == ["bad", "–", "not", "usable"]
    assert "! entry 'bad': the key is not a text" in told
    assert "sk-" not in output + told


def test_a_bad_key_of_a_list_is_listed_under_its_name(place: KeysPlace) -> None:
    place.put({"it's a team": [OLD, {"key": 7}]})

    assert [(row["name"], row["state"]) for row in place.keys.listed()] == [
        ("it's a team", "active"),
        ("it's a team", "not usable"),
    ]


def test_show_tells_everything_of_a_name_but_its_keys(place: KeysPlace) -> None:
    place.put(
        {"a": [OLD, {"key": "sk-rich-0123456789abcdef", "limits": {"rpm": 5}}], "b": "sk-b-0123456789abcdef"}
    )

    first, second = json.loads(place.keys("show", "--name", "a"))

    assert (first["name"], first["state"], first["ending"]) == ("a", "active", "cdef")
    assert second["limits"] == {"rpm": 5}
    assert "sk-" not in json.dumps([first, second])


def test_a_key_may_be_given_its_rights_its_time_and_its_note(place: KeysPlace) -> None:
    keys = place.keys
    keys("create-secret")

    rights = ("--scope", "admin", "--scope", "inference")
    times = ("--expires", "90d", "--not-before", "2020-01-01T00:00:00Z")
    keys("add", "--name", "boss", "--id", "op-1", *rights, *times, "--note", "for Ann")

    (record,) = place.parsed().records
    assert (record.key_id, record.scopes) == ("op-1", ("admin", "inference"))
    assert abs((record.expires or 0) - time.time() - 90 * 86_400) < 60
    assert keys.listed()[0]["note"] == "for Ann"


def test_a_key_that_exists_is_taken_from_the_standard_input_and_never_shown(place: KeysPlace) -> None:
    place.keys("create-secret")

    _, output, told = place.keys.run("add", "--name", "old", "--from-stdin", typed=OLD + "\n")

    assert place.parsed().records[0].digest == digest_of(OLD.encode())
    assert OLD not in output + told
    assert OLD.encode() not in place.content()


def test_a_plain_key_stays_readable_for_other_programs(place: KeysPlace) -> None:
    place.keys("create-secret")

    key = place.keys("add", "--name", "a", "--plain")

    assert json.loads(place.content())["a"]["key"] == key


def test_entries_of_others_are_left_as_they_are(place: KeysPlace) -> None:
    theirs = {
        "service-a": OLD,
        "rich": {"key": "sk-rich-0123456789abcdef", "limits": {"rpm": 1}, "x": [None, 1.5]},
    }
    place.put(theirs)

    place.keys("add", "--name", "mine")

    written = json.loads(place.content())
    del written["mine"]
    assert written == theirs


@pytest.mark.parametrize(
    ("arguments", "typed", "told"),
    [
        (["add", "--name", "a"], "", "`rotate` replaces it"),
        (["add", "--name", "b", "--from-stdin"], OLD, "hold the same key"),
        (["add", "--name", "b", "--from-stdin"], "changeme", "placeholder"),
        (["add", "--name", "b", "--from-stdin"], "", "blank"),
        (["add", "--name", "sk-0123456789abcdef"], "", "looks like a key"),
        (["add", "--name", "b", "--expires", "soon"], "", "expected a duration"),
        (["add", "--name", "b", "--expires", "999999w"], "", "a hundred years at most"),
        (["add", "--name", "b", "--scope", "root"], "", "is not one of"),
        (["rotate", "--name", "nobody"], "", "there is no key of 'nobody'"),
        (["rotate", "--name", "a", "--id", "k_other"], "", "no key with that id"),
        (["rotate", "--name", "a", "--overlap", "2030-01-01T00:00Z"], "", "such as 24h"),
        (["remove", "--name", "a"], "", "last key of all"),
        (["expire", "--name", "a", "--at", "yesterday"], "", "expected a duration"),
        (["show", "--name", "nobody"], "", "there is no key of 'nobody'"),
        (["create-secret"], "", "exists already"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence_and_changes_nothing(
    place: KeysPlace, arguments: list[str], typed: str, told: str
) -> None:
    place.put({"a": OLD})
    before = place.content()

    status, output, errors = place.keys.run(*arguments, typed=typed)

    assert (status, output) in ((1, ""), (2, ""))
    assert told.lower() in errors.lower()
    assert "Traceback" not in errors
    assert OLD not in errors
    assert place.content() == before


def test_a_file_with_several_problems_can_be_mended_step_by_step(place: KeysPlace) -> None:
    place.put({"bad1": "", "bad2": "", "team": [OLD, {"key": 7}, "sk-third-0123456789abcdef"]})

    place.keys("remove", "--name", "bad1")
    place.keys("remove", "--name", "team", "--id", "k_" + digest_of(OLD.encode())[:8])
    place.keys("add", "--name", "new")

    assert [record.name for record in place.parsed().records] == ["team", "new"]


def test_a_file_without_any_usable_key_takes_a_first_one(place: KeysPlace) -> None:
    place.put({"bad1": "", "bad2": ""})

    place.keys("add", "--name", "new")

    assert [record.name for record in place.parsed().records] == ["new"]


def test_a_key_that_would_open_nothing_is_not_written(place: KeysPlace) -> None:
    place.put({"ok": "sk-ok-0123456789abcdef", "a": OLD, "b": OLD})
    before = place.content()

    status, _, told = place.keys.run("add", "--name", "c", "--from-stdin", typed=OLD)

    assert status == 1
    assert "entries ['a', 'b', 'c'] hold the same key" in told.lower()
    assert place.content() == before


def test_bytes_that_are_no_text_are_refused_without_a_traceback(place: KeysPlace) -> None:
    place.put({"a": OLD})
    before = place.content()

    for arguments in (["--note", "\udcff"], ["--id", "\udcff"]):
        status, _, told = place.keys.run("add", "--name", "b", *arguments)
        assert status == 1
        assert "Traceback" not in told
    assert place.content() == before


def test_what_json_cannot_hold_is_not_written(place: KeysPlace) -> None:
    place.put_bytes(b'{"a": {"key": "sk-old-0123456789abcdef", "limits": {"x": 1e999}}}')
    before = place.content()

    status, output, errors = place.keys.run("add", "--name", "b")

    assert (status, output) == (1, "")
    assert "a number is too large" in errors
    assert place.content() == before


def test_only_known_fields_are_shown_and_none_passes_for_another(place: KeysPlace) -> None:
    odd = {
        "key": None,
        "digest": "sha256:" + "0" * 64,
        "disabled": True,
        "note": ["x", 1],
        "ending": "ffff0000",
    }
    odd |= {"previous": "sk-live-0123456789abcdef", "state": "active", "name": "boss"}
    place.put({"a": odd, "b": OLD})

    output = place.keys("list", "--json") + place.keys("list") + place.keys("show", "--name", "a")

    assert "sk-live" not in output
    row = place.keys.listed()[0]
    assert (row["name"], row["state"], row["ending"], row["other_fields"]) == ("a", "disabled", "0000", 3)


def test_a_name_in_any_alphabet_is_kept(place: KeysPlace) -> None:
    place.keys("create-secret")

    place.keys("add", "--name", "Zoë’s laptop")

    assert [record.name for record in place.parsed().records] == ["Zoë’s laptop"]
