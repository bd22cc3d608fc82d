"""The stand-in for Secret Manager does to Google's own client what Secret Manager does."""

import sys
import threading
from collections.abc import Iterator
from typing import Any

import google_crc32c
import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud.secretmanager_v1 import Secret, SecretManagerServiceClient, SecretVersion

from tests.fake_secret_manager import FakeSecretManager, FakeSecretManagerThread
from tests.secret_client import LATEST, PROJECT, SECRET, access, refused

NEW: Any = {"replication": {"automatic": {}}, "labels": {"team": "a"}, "annotations": {"note": "first"}}


@pytest.fixture
def fake(secret_manager: FakeSecretManagerThread) -> FakeSecretManager:
    return secret_manager.fake


@pytest.fixture
def secret(client: SecretManagerServiceClient) -> Secret:
    return client.create_secret(parent=PROJECT, secret_id="s", secret=NEW)


def test_a_created_secret_can_be_read(client: Any, secret: Secret) -> None:
    assert client.get_secret(name=SECRET) == secret
    assert (secret.name, dict(secret.labels), dict(secret.annotations)) == (
        SECRET, {"team": "a"}, {"note": "first"}
    )  # fmt: skip


def test_a_secret_is_not_created_twice(client: Any, secret: Secret) -> None:
    with refused(Conflict, "ALREADY_EXISTS"):
        client.create_secret(parent=PROJECT, secret_id="s", secret=NEW)


def test_a_deleted_secret_is_not_found(client: Any, secret: Secret) -> None:
    client.delete_secret(request={"name": SECRET, "etag": secret.etag})

    with refused(NotFound, "NOT_FOUND"):
        client.get_secret(name=SECRET)


def test_an_update_replaces_the_fields_of_its_mask(client: Any, secret: Secret) -> None:
    sent = Secret(name=SECRET, labels={"team": "b"}, annotations={"by": "me"}, etag=secret.etag)

    updated = client.update_secret(secret=sent, update_mask={"paths": ["annotations"]})

    assert dict(updated.annotations) == {"by": "me"}
    assert dict(updated.labels) == {"team": "a"}
    assert updated.etag != secret.etag


def test_an_update_with_an_old_etag_changes_nothing(client: Any, secret: Secret) -> None:
    newest = client.update_secret(secret=secret, update_mask={"paths": ["labels"]})
    secret.annotations["note"] = "late"

    with refused(BadRequest, "FAILED_PRECONDITION"):
        client.update_secret(secret=secret, update_mask={"paths": ["annotations"]})
    assert client.get_secret(name=SECRET) == newest


def test_versions_are_counted_from_one_and_leave_the_secrets_etag(client: Any, secret: Secret) -> None:
    added = [client.add_secret_version(parent=SECRET, payload={"data": b"x"}) for _ in range(2)]

    assert [version.name for version in added] == [f"{SECRET}/versions/1", f"{SECRET}/versions/2"]
    assert {version.state for version in added} == {SecretVersion.State.ENABLED}
    assert added[0].etag != added[1].etag
    assert added[0].create_time < added[1].create_time
    assert client.get_secret(name=SECRET).etag == secret.etag


@pytest.mark.parametrize(
    "payload", [{"data": b"x", "data_crc32c": 1}, {"data": b"x" * 65_537}, {"data": b""}], ids=str
)
def test_a_payload_that_google_would_not_take_adds_nothing(
    client: Any, fake: FakeSecretManager, secret: Secret, payload: Any
) -> None:
    with refused(BadRequest, "INVALID_ARGUMENT"):
        client.add_secret_version(parent=SECRET, payload=payload)
    assert fake.versions("p", "s") == []


def test_an_access_gives_the_data_its_checksum_and_the_versions_own_name(client: Any, secret: Secret) -> None:
    data = bytes(range(256)) * 256
    payload = {"data": data, "data_crc32c": google_crc32c.value(data)}
    version = client.add_secret_version(parent=SECRET, payload=payload)

    answer = access(client)

    assert version.client_specified_payload_checksum
    assert answer.name == version.name == f"{SECRET}/versions/1"
    assert answer.payload.data == data
    assert answer.payload.data_crc32c == google_crc32c.value(data)
    assert access(client, version.name) == answer


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_latest_is_the_newest_version_even_if_it_cannot_be_accessed(
    client: Any, fake: FakeSecretManager, state: str
) -> None:
    fake.put("p", "s", b"old")
    fake.set_state("p", "s", fake.put("p", "s", b"new"), state)

    assert client.get_secret_version(name=LATEST).name == f"{SECRET}/versions/2"
    with refused(BadRequest, "FAILED_PRECONDITION"):
        access(client)
    assert access(client, f"{SECRET}/versions/1").payload.data == b"old"


@pytest.mark.parametrize("number", ["latest", "1"])
def test_a_version_that_nobody_added_is_not_found(client: Any, secret: Secret, number: str) -> None:
    with refused(NotFound, "NOT_FOUND"):
        access(client, f"{SECRET}/versions/{number}")


def test_versions_are_listed_in_pages_the_newest_first(client: Any, fake: FakeSecretManager) -> None:
    names = [f"{SECRET}/versions/{fake.put('p', 's', b'x')}" for _ in range(5)]

    pages = list(client.list_secret_versions(request={"parent": SECRET, "page_size": 2}).pages)

    assert [[v.name for v in page.versions] for page in pages] == [names[:2:-1], names[2:0:-1], names[:1]]
    assert {page.total_size for page in pages} == {5}


def test_a_disabled_version_can_be_enabled_again(client: Any, fake: FakeSecretManager) -> None:
    name = f"{SECRET}/versions/{fake.put('p', 's', b'x')}"

    assert client.disable_secret_version(name=name).state == SecretVersion.State.DISABLED
    assert client.enable_secret_version(name=name).state == SecretVersion.State.ENABLED
    assert access(client).payload.data == b"x"


def test_a_destroyed_version_stays_destroyed(client: Any, fake: FakeSecretManager) -> None:
    name = f"{SECRET}/versions/{fake.put('p', 's', b'x')}"

    assert client.destroy_secret_version(name=name).destroy_time
    with refused(BadRequest, "FAILED_PRECONDITION"):
        client.enable_secret_version(name=name)
    assert [(v.data, v.state.name) for v in fake.versions("p", "s")] == [(b"", "DESTROYED")]


@pytest.mark.parametrize("verb", ["enable_secret_version", "destroy_secret_version"])
def test_an_old_etag_changes_no_version(client: Any, fake: FakeSecretManager, verb: str) -> None:
    name = f"{SECRET}/versions/{fake.put('p', 's', b'x')}"
    old = client.get_secret_version(name=name).etag
    newest = client.disable_secret_version(request={"name": name, "etag": old})

    with refused(BadRequest, "FAILED_PRECONDITION"):
        getattr(client, verb)(request={"name": name, "etag": old})
    assert client.get_secret_version(name=name) == newest


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns so often that what needs a lock shows it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_versions_put_at_once_get_numbers_of_their_own(fake: FakeSecretManager) -> None:
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.extend(fake.put("p", "s", b"x") for _ in range(50)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(numbers) == list(range(1, 401))
