"""A container that has its keys from Secret Manager, until vLLM dies in it."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client import KEY
from tests.everywhere import reload
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.image.container import ADMINS, STOP_SECONDS, Container
from tests.secret_client import put_keys, reads, secret_settings

NEW = "sk-new-0123456789abcdef"


def entry(*keys: str) -> dict[str, Any]:
    return {"tester": [{**ADMINS, "key": key} for key in keys]}


@pytest.fixture(scope="module")
def secret_manager() -> Iterator[FakeSecretManagerThread]:
    with FakeSecretManagerThread() as running:
        put_keys(running, entry(KEY))
        yield running


@pytest.fixture(scope="module")
def container(
    rootfs: Path, tmp_path_factory: pytest.TempPathFactory, secret_manager: FakeSecretManagerThread
) -> Iterator[Container]:
    settings = {"API_KEYS_FILE": "", **secret_settings(secret_manager)}
    with Container(tmp_path_factory.mktemp("secret"), rootfs, **settings) as running:
        running.wait_ready()
        yield running


def models(container: Container, key: str) -> int:
    return container.request("GET", "/v1/models", headers={"X-API-Key": key}).status


def test_its_keys_are_those_of_the_secret(
    container: Container, secret_manager: FakeSecretManagerThread
) -> None:
    assert (models(container, KEY), models(container, NEW)) == (200, 401)
    assert reads(secret_manager) >= 1
    headers = {"X-API-Key": KEY}
    keys = container.request("GET", "/admin/status", headers=headers).json()["keys"]
    assert (keys["store"], keys["version"]) == ("secret_manager", 1)


def test_a_rotated_key_counts_after_a_reload_and_the_old_one_no_more_when_it_is_gone(
    container: Container, secret_manager: FakeSecretManagerThread
) -> None:
    second = put_keys(secret_manager, entry(KEY, NEW))
    told = reload(container).json()
    assert (told["version"], told["changed"]) == (second, ["tester"])
    assert (models(container, KEY), models(container, NEW)) == (200, 200)

    third = put_keys(secret_manager, entry(NEW))
    assert reload(container, key=NEW).json()["version"] == third
    assert (models(container, KEY), models(container, NEW)) == (401, 200)


def test_where_vllm_is_killed_the_container_ends_by_itself_with_a_failure(container: Container) -> None:
    family = container.family()
    container.vllm.send_signal(signal.SIGKILL)

    assert container.process.wait(STOP_SECONDS) == 1
    assert [each for each in family if each.is_running()] == []
