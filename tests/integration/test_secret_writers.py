"""Commands that change a secret: which version they build on, one writer at a time, and what goes wrong."""

import threading
import time
from typing import Any

import pytest

from app.keys import secret_manager
from app.keys.errors import StoreUnavailable
from app.keys.secret_manager import NEWEST, WRITER, SecretManagerStore
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.gateway import wait_until
from tests.keys_place import KeysPlace
from tests.secret_client import put_keys

OLD = "sk-old-0123456789abcdef"


@pytest.fixture
def secret(secret_manager: FakeSecretManagerThread) -> KeysPlace:
    put_keys(secret_manager, {"a": OLD})
    return KeysPlace(None, secret_manager)


@pytest.mark.parametrize(
    ("failure", "told"),
    [(403, "has no right"), (404, "does not exist"), (401, "credentials"), (503, "answered 503")],
)
def test_what_secret_manager_refuses_is_told(secret: KeysPlace, failure: int, told: str) -> None:
    assert secret.running is not None
    secret.running.fake.failure = failure

    status, _, errors = secret.keys.run("add", "--name", "b")

    assert status == 1
    assert told in errors
    assert "Traceback" not in errors


def test_a_change_builds_on_the_newest_version_although_latest_is_behind(secret: KeysPlace) -> None:
    assert secret.running is not None
    put_keys(secret.running, {"a": OLD, "b": "sk-b-0123456789abcdef"})
    secret.running.fake.stale_latest = 1

    secret.keys("add", "--name", "c")

    assert [record.name for record in secret.parsed().records] == ["a", "b", "c"]


def test_a_change_builds_on_the_newest_version_that_is_enabled(secret: KeysPlace) -> None:
    assert secret.running is not None
    version = put_keys(secret.running, {"mistake": OLD})
    secret.running.fake.set_state("my-project", "keys", version, "DISABLED")

    secret.keys("add", "--name", "b")

    assert [record.name for record in secret.parsed().records] == ["a", "b"]


SECRET = "projects/my-project/secrets/keys"


def annotate(client: Any, **annotations: str) -> None:
    """Change the secret's annotations as another program would; an empty text takes one away."""
    found = client.get_secret(name=SECRET)
    for name, value in annotations.items():
        found.annotations[name.replace("_", "-")] = value
        if not value:
            del found.annotations[name.replace("_", "-")]
    client.update_secret(secret=found, update_mask={"paths": ["annotations"]})


def add_b(entries: dict[str, Any]) -> None:
    entries["b"] = "sk-b-0123456789abcdef"


@pytest.fixture
def store(secret: KeysPlace) -> SecretManagerStore:
    assert secret.running is not None
    return SecretManagerStore("my-project", "keys", secret.running.url)


def test_a_writer_that_died_is_not_waited_for_for_ever(
    store: SecretManagerStore, secret: KeysPlace, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotate(client, vllm_gateway_writer="dead")
    monkeypatch.setattr(secret_manager, "FORGET_WRITER_SECONDS", 0.5)
    began = time.monotonic()

    store.update(add_b)

    assert time.monotonic() - began > 0.5
    assert [record.name for record in secret.parsed().records] == ["a", "b"]


def test_a_writer_at_work_is_waited_for(store: SecretManagerStore, secret: KeysPlace, client: Any) -> None:
    annotate(client, vllm_gateway_writer="another")
    waiting = threading.Thread(target=store.update, args=(add_b,))
    waiting.start()
    wait_until(lambda: secret.running and len(secret.running.fake.requests) > 5)
    assert len(secret.parsed().records) == 1

    annotate(client, vllm_gateway_writer="")

    waiting.join(10)
    assert [record.name for record in secret.parsed().records] == ["a", "b"]


def test_writers_that_never_finish_are_told(
    store: SecretManagerStore, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotate(client, vllm_gateway_writer="another")
    monkeypatch.setattr(secret_manager, "WAIT_FOR_WRITER_SECONDS", 0.3)

    with pytest.raises(StoreUnavailable, match="other writers have not finished"):
        store.update(add_b)


def test_a_writer_that_was_taken_for_dead_writes_nothing(
    store: SecretManagerStore, secret: KeysPlace, client: Any
) -> None:
    def slow(entries: dict[str, Any]) -> None:
        annotate(client, vllm_gateway_writer="another")
        add_b(entries)

    with pytest.raises(StoreUnavailable, match="another writer took over; nothing was written"):
        store.update(slow)

    assert [record.name for record in secret.parsed().records] == ["a"]
    assert client.get_secret(name=SECRET).annotations[WRITER] == "another"


def test_a_change_of_the_secret_by_another_program_meanwhile_costs_no_key(
    store: SecretManagerStore, secret: KeysPlace, client: Any
) -> None:
    def beside(entries: dict[str, Any]) -> None:
        annotate(client, team="ml")
        add_b(entries)

    assert store.update(beside) == 2

    assert dict(client.get_secret(name=SECRET).annotations) == {"team": "ml", NEWEST: "2"}


def test_a_version_that_was_written_is_told_although_the_mark_cannot_be_taken_away(
    store: SecretManagerStore, secret: KeysPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = store._add

    def add_and_lose_the_network(data: bytes) -> int:
        version = add(data)
        assert secret.running is not None
        secret.running.stop()
        return version

    monkeypatch.setattr(store, "_add", add_and_lose_the_network)

    assert store.update(add_b) == 2


def test_a_version_that_may_have_been_written_is_told_as_such(
    store: SecretManagerStore, secret: KeysPlace, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert secret.running is not None
    monkeypatch.setattr(secret_manager, "WRITE_SECONDS", 0.5)
    secret.running.fake.hanging_path = ":addVersion"

    with pytest.raises(StoreUnavailable, match="may have been written all the same"):
        store.update(add_b)

    assert WRITER in client.get_secret(name=SECRET).annotations  # what may still come must not meet another's


def test_a_mark_that_cannot_be_changed_is_not_tried_for_ever(
    store: SecretManagerStore, secret: KeysPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotate_once = [store._annotate]
    monkeypatch.setattr(secret_manager, "LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(
        store, "_annotate", lambda found: annotate_once.pop()(found) if annotate_once else False
    )

    assert store.update(add_b) == 2


def test_a_version_of_another_secret_in_the_annotations_is_no_obstacle(
    store: SecretManagerStore, secret: KeysPlace, client: Any
) -> None:
    annotate(client, vllm_gateway_version="9")

    assert store.update(add_b) == 2
    assert [record.name for record in secret.parsed().records] == ["a", "b"]


def test_the_mark_of_a_writer_is_gone_after_it_also_after_a_failure(secret: KeysPlace, client: Any) -> None:
    secret.keys("add", "--name", "b")
    secret.keys.run("add", "--name", "b")

    assert dict(client.get_secret(name=SECRET).annotations) == {NEWEST: "2"}


def test_more_than_a_secret_holds_is_refused(secret: KeysPlace) -> None:
    put_keys_of = {f"name-{number:04}": f"sk-{number:060}" for number in range(900)}
    secret.put(put_keys_of)

    status, _, errors = secret.keys.run("add", "--name", "one-more", "--note", "x" * 3000)

    assert status == 1
    assert "64 KiB" in errors
