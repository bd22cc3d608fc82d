"""Reloads from Secret Manager, by Google's own client: which version counts, and what a failure costs."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.everywhere import reload, statuses_everywhere
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.fake_vllm import FakeVllmThread
from tests.gateway import KEY, Gateway, wait_until
from tests.secret_client import UNUSABLE, put_keys, reads, secret_settings

NEW = "sk-new-0123456789abcdef"


@pytest.fixture(scope="module")
def secret_manager() -> Iterator[FakeSecretManagerThread]:
    """One for the module: what a test did to it ends with the test."""
    with FakeSecretManagerThread() as running:
        put_keys(running, {"tester": KEY})
        yield running


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
    upstream: FakeVllmThread,
    secret_manager: FakeSecretManagerThread,
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("secret")
    settings = {"API_KEYS_FILE": "", "WEB_CONCURRENCY": 4, **secret_settings(secret_manager)}
    with Gateway(folder, upstream.url, **settings) as gateway:
        gateway.wait_ready()
        yield gateway


@pytest.fixture
def four(running: Gateway, secret_manager: FakeSecretManagerThread) -> Iterator[Gateway]:
    """Four workers that have the one key of the newest version."""
    yield running
    for name, value in {"latency": 0, "failure": None, "resets": False, "hangs": False, "corrupts": False,
                        "stale_latest": None, "answer": None}.items():  # fmt: skip
        setattr(secret_manager.fake, name, value)
    put_keys(secret_manager, {"tester": KEY})
    assert 200 in (reload(running, key=KEY).status, reload(running, key=NEW).status)


def newest(gateway: Gateway) -> int:
    return int(reload(gateway).json()["version"])


def test_a_reload_takes_the_newest_version_in_every_worker_and_says_which(
    four: Gateway, secret_manager: FakeSecretManagerThread
) -> None:
    version = put_keys(secret_manager, {"tester": KEY, "second": NEW})
    before = reads(secret_manager)

    answer = reload(four).json()

    assert (answer["reloaded"], answer["version"], answer["keys"]) == (True, version, 2)
    assert (answer["added"], answer["removed"], answer["changed"]) == (["second"], [], [])
    assert answer["age_seconds"] < 1
    assert "60 seconds" in answer["note"]
    assert reads(secret_manager) == before + 1
    assert statuses_everywhere(four, NEW) == {200}


def test_a_rotated_key_is_told_as_a_changed_name(
    four: Gateway, secret_manager: FakeSecretManagerThread
) -> None:
    put_keys(secret_manager, {"tester": [KEY, NEW]})

    assert reload(four).json()["changed"] == ["tester"]


def test_a_version_just_written_is_read_by_its_number_while_latest_does_not_know_it(
    four: Gateway, secret_manager: FakeSecretManagerThread
) -> None:
    before = secret_manager.fake.stale_latest = newest(four)
    version = put_keys(secret_manager, {"tester": KEY, "second": NEW})

    assert reload(four).json()["version"] == before
    assert reload(four, f"?version={version}").json()["version"] == version
    assert statuses_everywhere(four, NEW) == {200}


def test_latest_that_goes_backwards_changes_nothing_and_is_told(
    four: Gateway, secret_manager: FakeSecretManagerThread
) -> None:
    version = put_keys(secret_manager, {"tester": KEY, "second": NEW})
    reload(four)
    secret_manager.fake.stale_latest = version - 1

    answer = reload(four)

    assert (answer.status, answer.json()["reloaded"], answer.json()["version"]) == (200, False, version)
    assert "older version" in answer.json()["reason"]
    assert statuses_everywhere(four, NEW) == {200}


def test_a_reload_that_comes_late_does_not_undo_a_newer_one(
    four: Gateway, secret_manager: FakeSecretManagerThread
) -> None:
    version = put_keys(secret_manager, {"tester": KEY, "second": NEW})
    reload(four)

    answer = reload(four, f"?version={version - 1}").json()

    assert (answer["reloaded"], answer["version"]) == (False, version)
    assert "newer version" in answer["reason"]
    assert statuses_everywhere(four, NEW) == {200}


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_a_newest_version_that_is_switched_off_leaves_the_old_set(
    four: Gateway, secret_manager: FakeSecretManagerThread, state: str
) -> None:
    version = put_keys(secret_manager, {"second": NEW})
    secret_manager.fake.set_state("my-project", "keys", version, state)

    answer = reload(four)

    assert (answer.status, answer.error_code) == (502, "reload_failed")
    assert "disabled or destroyed" in answer.json()["error"]["message"]
    assert statuses_everywhere(four, KEY) == {200}


@pytest.mark.parametrize(
    "given",
    ["", "0", "007", "x", "-1", "1&version=2", "latest", "9" * 40, "1%2F..%2F2", "%31%00", "1.0", "%D9%A1"],
)
def test_what_is_no_version_is_refused_before_anything_is_read(
    four: Gateway, secret_manager: FakeSecretManagerThread, given: str
) -> None:
    before = reads(secret_manager)

    answer = reload(four, f"?version={given}")

    assert (answer.status, answer.error_code) == (400, "invalid_field")
    assert answer.json()["error"]["param"] == "version"
    assert reads(secret_manager) == before


def test_a_version_that_does_not_exist_is_told(four: Gateway) -> None:
    answer = reload(four, "?version=7777")

    assert (answer.status, answer.error_code) == (502, "reload_failed")
    assert "does not exist" in answer.json()["error"]["message"]


FAULTS = [
    ({"failure": 400}, 502), ({"failure": 401}, 502), ({"failure": 403}, 502), ({"failure": 404}, 502),
    ({"failure": 429}, 503), ({"failure": 500}, 503), ({"failure": 503}, 503), ({"failure": 504}, 503),
    ({"resets": True}, 503), ({"hangs": True}, 503), ({"corrupts": True}, 503),
    ({"answer": (503, b'{"error": "of a proxy"}')}, 503), ({"answer": (200, b"{}")}, 503),
    ({"answer": (200, b"[]")}, 503), ({"answer": (200, b"\xff")}, 503), ({"answer": (502, b"text")}, 503),
]  # fmt: skip


@pytest.mark.parametrize(("faults", "status"), FAULTS)
def test_a_store_that_fails_at_a_reload_costs_nobody_a_key(
    four: Gateway, secret_manager: FakeSecretManagerThread, faults: dict[str, Any], status: int
) -> None:
    before = newest(four)
    told = len(four.log_lines(action="reload keys", result="failed"))
    put_keys(secret_manager, {"second": NEW})
    for name, value in faults.items():
        setattr(secret_manager.fake, name, value)

    answer = reload(four)

    assert (answer.status, answer.error_code) == (status, "reload_failed")
    assert (answer.json()["reloaded"], answer.json()["version"], answer.json()["keys"]) == (False, before, 1)
    assert answer.json()["age_seconds"] >= 0
    assert ("retry-after" in answer.headers) == (status == 503)
    assert statuses_everywhere(four, KEY) == {200}
    wait_until(lambda: len(four.log_lines(action="reload keys", result="failed", by="tester")) == told + 1)


def test_a_store_that_is_down_at_a_reload_is_told_and_read_again_when_it_is_up(
    four: Gateway, secret_manager: FakeSecretManagerThread
) -> None:
    put_keys(secret_manager, {"tester": NEW})
    secret_manager.stop()
    assert reload(four).status == 503

    secret_manager.start()

    assert reload(four).status == 200
    assert statuses_everywhere(four, KEY) == {401}


@pytest.mark.parametrize("content", UNUSABLE)
def test_a_version_that_cannot_be_used_leaves_the_old_set(
    four: Gateway, secret_manager: FakeSecretManagerThread, content: bytes
) -> None:
    put_keys(secret_manager, content)

    answer = reload(four)

    assert (answer.status, answer.error_code) == (502, "reload_failed")
    assert "sk-" not in answer.body.decode()
    assert statuses_everywhere(four, KEY) == {200}


def test_a_secret_with_a_second_of_latency_can_be_reloaded_by_hand(
    four: Gateway, secret_manager: FakeSecretManagerThread
) -> None:
    secret_manager.fake.latency = 1.0

    assert reload(four).status == 200
