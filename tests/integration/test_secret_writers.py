"""Commands that change a secret: which version they build on, one writer at a time, and what goes wrong."""

import time

import pytest

from app.keys.secret_manager import WRITER
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.keys_place import KeysPlace
from tests.secret_client import open_client, put_keys

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


def mark_of_a_writer(secret: KeysPlace, age: float) -> None:
    assert secret.running is not None
    with open_client(secret.running.port) as client:
        found = client.get_secret(name="projects/my-project/secrets/keys")
        found.annotations[WRITER] = f"0123 {time.time() - age:.0f}"
        client.update_secret(secret=found, update_mask={"paths": ["annotations"]})


def test_a_writer_that_died_is_not_waited_for_for_ever(secret: KeysPlace) -> None:
    mark_of_a_writer(secret, age=61)

    secret.keys("add", "--name", "b")

    assert [record.name for record in secret.parsed().records] == ["a", "b"]


def test_a_writer_at_work_is_waited_for(secret: KeysPlace) -> None:
    mark_of_a_writer(secret, age=57)  # to be forgotten in about three seconds
    began = time.monotonic()

    secret.keys("add", "--name", "b")

    assert time.monotonic() - began > 1
    assert [record.name for record in secret.parsed().records] == ["a", "b"]


def test_the_mark_of_a_writer_is_gone_after_it_also_after_a_failure(secret: KeysPlace) -> None:
    assert secret.running is not None
    secret.keys("add", "--name", "b")
    secret.keys.run("add", "--name", "b")

    with open_client(secret.running.port) as client:
        annotations = dict(client.get_secret(name="projects/my-project/secrets/keys").annotations)
    assert annotations == {"vllm-gateway-version": "2"}


def test_more_than_a_secret_holds_is_refused(secret: KeysPlace) -> None:
    put_keys_of = {f"name-{number:04}": f"sk-{number:060}" for number in range(900)}
    secret.put(put_keys_of)

    status, _, errors = secret.keys.run("add", "--name", "one-more", "--note", "x" * 3000)

    assert status == 1
    assert "64 KiB" in errors
