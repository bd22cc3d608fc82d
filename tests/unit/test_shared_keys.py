"""The set that all workers share: what a reload changes, what it leaves, and what is told about it."""

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.instance import Instance
from app.keys.errors import KeyFileError, StoreRefused
from app.keys.file_store import FileStore
from app.keys.key_store import Content
from app.keys.records import digest_of
from app.keys.shared import SharedKeys

KEY = "sk-unit-0123456789abcdef"
OTHER = "sk-other-0123456789abcdef"
DIGEST = bytes.fromhex(digest_of(KEY.encode()))


@pytest.fixture
def instance() -> Instance:
    return Instance()


def test_another_worker_sees_the_set_at_once(tmp_path: Path, instance: Instance) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"first": KEY}))
    one, other = (SharedKeys(FileStore(str(file)), instance) for _ in range(2))
    assert not other.are_loaded

    one.reload()
    assert other.ring.find(KEY.encode()) is not None
    file.write_text(json.dumps({"second": OTHER}))
    result = one.reload()

    assert (result.changes.added, result.changes.removed, result.generation) == (["second"], ["first"], 2)
    assert other.ring.find(KEY.encode()) is None


def test_an_unchanged_file_makes_no_new_generation(tmp_path: Path, instance: Instance) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"first": KEY}))
    keys = SharedKeys(FileStore(str(file)), instance)

    assert keys.reload().generation == keys.reload().generation == 1


def test_the_first_set_is_made_of_the_usable_entries_the_next_is_whole_or_not_taken(
    tmp_path: Path, instance: Instance
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"good": KEY, "bad": ""}))
    keys = SharedKeys(FileStore(str(file)), instance)
    first = keys.reload()
    file.write_text(json.dumps({"good": KEY, "other": OTHER, "bad": ""}))

    with pytest.raises(KeyFileError, match="entry 'bad'"):
        keys.reload()

    assert (first.keys, len(keys.ring.by_digest)) == (1, 1)
    assert keys.current.problems == first.problems


def test_a_routine_reading_is_content_with_what_it_took_before_but_a_reload_by_hand_is_not(
    tmp_path: Path, instance: Instance
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"good": KEY, "bad": ""}))
    keys = SharedKeys(FileStore(str(file)), instance)
    keys.reload(routine=True)

    assert keys.reload(routine=True).reloaded
    assert keys.report.failure is None
    with pytest.raises(KeyFileError, match="entry 'bad'"):
        keys.reload()


def test_ten_thousand_keys_fit_into_shared_memory(tmp_path: Path, instance: Instance) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({f"client-{n}": f"sk-{n:020}" for n in range(10_000)}))
    keys = SharedKeys(FileStore(str(file)), instance)

    keys.reload()

    assert keys.ring.find(b"sk-00000000000000009999") is not None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def keys_of(file: Path, instance: Instance, content: Any) -> SharedKeys:
    file.write_text(json.dumps(content))
    keys = SharedKeys(FileStore(str(file)), instance)
    keys.reload()
    return keys


def test_a_name_with_other_keys_than_before_is_told_as_changed(file: Path, instance: Instance) -> None:
    keys = keys_of(file, instance, {"same": KEY, "rotated": OTHER})
    file.write_text(json.dumps({"same": KEY, "rotated": [OTHER, "sk-third-0123456789abcdef"]}))

    result = keys.reload()

    assert (result.changes.added, result.changes.removed, result.changes.changed) == ([], [], ["rotated"])
    assert result.log_fields()["changed_names"] == ["rotated"]


def test_nothing_is_worth_a_line_of_log_when_nothing_changed(file: Path, instance: Instance) -> None:
    keys = keys_of(file, instance, {"a": "short-key"})

    assert not keys.reload().is_news


def test_a_failure_is_told_to_every_worker_and_forgotten_after_a_success(
    file: Path, instance: Instance
) -> None:
    keys = keys_of(file, instance, {"a": KEY})
    other = SharedKeys(FileStore(str(file)), instance)
    confirmed_at = other.report.confirmed_at
    file.unlink()

    with pytest.raises(StoreRefused):
        keys.reload()

    assert "does not exist" in str(other.report.failure)
    assert other.report.confirmed_at == confirmed_at
    file.write_text(json.dumps({"a": KEY}))
    keys.reload()
    assert other.report.failure is None


def test_the_age_grows_while_the_store_does_not_confirm_the_set(file: Path, instance: Instance) -> None:
    keys = SharedKeys(FileStore(str(file)), instance)
    assert keys.age is None

    keys = keys_of(file, instance, {"a": KEY})
    first = keys.age
    assert first is not None
    assert 0 <= first < 5
    assert keys.age > first


def test_one_worker_sees_when_another_let_a_key_in(file: Path, instance: Instance) -> None:
    keys = keys_of(file, instance, {"a": KEY})
    other = SharedKeys(FileStore(str(file)), instance)
    assert other.ring.find(KEY.encode()) is not None
    assert other.last_used(DIGEST) is None

    keys.note_use(DIGEST)

    assert abs((other.last_used(DIGEST) or 0) - time.time()) < 5


def test_a_key_that_stays_keeps_its_last_use_and_a_new_one_has_none(file: Path, instance: Instance) -> None:
    keys = keys_of(file, instance, {"a": KEY})
    keys.note_use(DIGEST)
    used = keys.last_used(DIGEST)
    file.write_text(json.dumps({"first": OTHER, "a": KEY}))

    keys.reload()

    assert keys.ring is not None
    assert keys.last_used(DIGEST) == used
    assert keys.last_used(bytes.fromhex(digest_of(OTHER.encode()))) is None


def test_a_key_that_is_not_of_the_set_leaves_no_trace(file: Path, instance: Instance) -> None:
    keys = keys_of(file, instance, {"a": KEY})

    keys.note_use(bytes(32))

    assert not any(instance.key_used[:10])


def test_shared_memory_holds_no_key(file: Path, instance: Instance) -> None:
    keys_of(file, instance, {"a": KEY, "b": {"key": OTHER, "note": OTHER}})

    for blob in (instance.key_set, instance.key_report):
        _, content = blob.read()
        assert content
        assert KEY.encode() not in content
        assert OTHER.encode() not in content


class Numbered:
    """A store of versions that a test sets."""

    kind, has_versions, blocks = "secret_manager", True, False

    def __init__(self) -> None:
        self.version = 1
        self.content: Any = {"a": KEY}

    def read(self, version: int | None = None) -> Content:
        return Content(json.dumps(self.content).encode(), version or self.version)


def test_a_version_never_goes_back_even_when_its_report_was_lost(instance: Instance) -> None:
    store = Numbered()
    keys = SharedKeys(store, instance)
    store.version, store.content = 2, {"a": OTHER}
    keys.reload()
    instance.key_report.publish(b"{}")  # as when the worker dies between the two

    store.version, store.content = 1, {"a": KEY}

    assert not keys.reload().reloaded
    assert keys.ring.find(OTHER.encode()) is not None


def test_a_new_version_of_the_same_content_is_followed(instance: Instance) -> None:
    store = Numbered()
    keys = SharedKeys(store, instance)
    keys.reload()
    store.version = 5

    assert keys.reload().version == 5
    store.version = 4
    assert not keys.reload().reloaded
    assert (keys.version, keys.generation) == (5, 1)


def test_a_set_that_cannot_be_taken_over_is_no_reason_to_go_on_with_the_old_one(instance: Instance) -> None:
    keys = SharedKeys(Numbered(), instance)
    keys.reload()
    instance.key_set.publish(b"not what a worker writes")

    for _ in range(2):
        with pytest.raises(msgspec.DecodeError):
            keys.ring.find(KEY.encode())


def test_a_report_is_bounded_however_much_is_wrong(file: Path, instance: Instance) -> None:
    keys = keys_of(file, instance, {"a": KEY})
    file.write_text(json.dumps({f"name-{number:06}": OTHER for number in range(15_000)}))

    with pytest.raises(KeyFileError) as caught:
        keys.reload()

    assert "and 14995 more" in str(caught.value)
    assert len(str(caught.value)) < 1000
