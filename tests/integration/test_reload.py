"""Keys change in every worker before the reload answers, and a bad file changes nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.everywhere import is_served, status_of, statuses_everywhere
from tests.fake_vllm import FakeVllmThread
from tests.gateway import KEY, Gateway, wait_until

WORKERS = 4
NEW = "sk-new-0123456789abcdef"
ADMIN = "sk-admin-0123456789abcdef"


@pytest.fixture
def four(tmp_path: Any, upstream: FakeVllmThread) -> Iterator[Gateway]:
    with Gateway(tmp_path, upstream.url, WEB_CONCURRENCY=WORKERS) as gateway:
        gateway.wait_ready()
        yield gateway


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_worker_uses_the_new_file_right_after_the_answer(four: Gateway, method: str) -> None:
    current = KEY
    for turn in range(5):
        following = f"sk-turn-{turn}-0123456789abcdef"
        four.keys_file.write_text(json.dumps({f"client-{turn}": following}))

        reply = four.request(method, "/admin/reload-keys", headers={"X-API-Key": current})

        assert reply.status == 200
        assert reply.json()["keys"] == 1
        assert reply.json()["added"] == [f"client-{turn}"]
        assert statuses_everywhere(four, following) == {200}
        assert statuses_everywhere(four, current) == {401}
        current = following


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"a": ""}', '{"a": "changeme"}', '{"a": 5}', '{"a":"k1","a":"k2"}',
     '{"a": "sk-same-key", "b": "sk-same-key"}', '{"good": "sk-good-key", "bad": {"key": 7}}'],
)  # fmt: skip
def test_a_file_that_cannot_be_used_leaves_the_old_set(four: Gateway, content: str) -> None:
    four.keys_file.write_text(content)

    reply = four.request("POST", "/admin/reload-keys", headers={"X-API-Key": KEY})

    assert (reply.status, reply.error_code) == (502, "reload_failed")
    assert four.log_line(action="reload keys", result="failed")["by"] == "tester"
    assert statuses_everywhere(four, KEY) == {200}


def test_a_file_that_is_gone_leaves_the_old_set(four: Gateway) -> None:
    four.keys_file.unlink()

    assert status_of(four, KEY, target="/admin/reload-keys") == 502
    assert four.log_line(action="reload keys", result="failed")["by"] == "tester"
    assert statuses_everywhere(four, KEY) == {200}


def test_only_an_admin_key_reloads_once_the_set_has_one(four: Gateway) -> None:
    keys = {"tester": KEY, "boss": {"key": ADMIN, "scopes": ["admin"], "expires": "2020-01-01T00:00Z"}}
    four.keys_file.write_text(json.dumps(keys))
    assert status_of(four, KEY, target="/admin/reload-keys") == 200

    assert status_of(four, KEY, target="/admin/reload-keys") == 403
    assert status_of(four, ADMIN, target="/admin/reload-keys") == 401


def test_an_admin_key_without_inference_may_only_administer(four: Gateway) -> None:
    keys = {"tester": KEY, "boss": {"key": ADMIN, "scopes": ["admin"]}}
    four.keys_file.write_text(json.dumps(keys))
    assert status_of(four, KEY, target="/admin/reload-keys") == 200

    assert status_of(four, ADMIN, target="/admin/reload-keys") == 200
    assert status_of(four, ADMIN) == 403


def test_a_worker_that_is_born_later_knows_the_current_set(start_gateway: Any) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=1)
    gateway.wait_ready()
    gateway.keys_file.write_text(json.dumps({"later": NEW}))
    assert status_of(gateway, KEY, target="/admin/reload-keys") == 200
    gateway.kill_workers()

    wait_until(lambda: is_served(gateway, NEW))

    assert status_of(gateway, KEY) == 401


def test_a_changed_file_is_taken_in_the_background(start_gateway: Any) -> None:
    gateway = start_gateway(API_KEYS_REFRESH_SECONDS=0.5)
    gateway.wait_ready()

    gateway.keys_file.write_text(json.dumps({"later": NEW}))

    wait_until(lambda: status_of(gateway, NEW) == 200)
    assert status_of(gateway, KEY) == 401


def test_a_start_without_a_usable_key_refuses_requests_until_one_comes(
    tmp_path: Any, upstream: FakeVllmThread
) -> None:
    (tmp_path / "keys.json").write_text('{"tester": ""}')
    with Gateway(tmp_path, upstream.url, API_KEYS_REFRESH_SECONDS=0.3) as gateway:
        reply = gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY})
        ready = gateway.request("GET", "/health/ready")
        gateway.keys_file.write_text(json.dumps({"tester": KEY}))

        assert (reply.status, reply.error_code) == (503, "keys_unavailable")
        assert (ready.status, ready.json()["phase"]) == (503, "keys_unavailable")
        wait_until(lambda: status_of(gateway, KEY) == 200)


def test_a_start_takes_the_usable_entries_and_names_the_others(
    tmp_path: Any, upstream: FakeVllmThread
) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"tester": KEY, "broken": ""}))
    with Gateway(tmp_path, upstream.url) as gateway:
        gateway.wait_ready()

        assert status_of(gateway, KEY) == 200
        (line,) = gateway.log_lines(message="keys refreshed")
        assert "broken" in line["problems"][0]
