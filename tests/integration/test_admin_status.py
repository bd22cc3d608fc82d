"""What an operator sees of a running gateway, and of the life of a key in it."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.everywhere import reload, status_of, statuses_everywhere
from tests.gateway import KEY, Gateway, wait_until

ADMIN = "sk-admin-0123456789abcdef"
BOSS = {"key": ADMIN, "id": "op-1", "scopes": ["inference", "admin"]}


@pytest.fixture
def start(start_gateway: Callable[..., Gateway], tmp_path: Path) -> Callable[..., Gateway]:
    def begin(keys: dict[str, Any], **settings: Any) -> Gateway:
        (tmp_path / "keys.json").write_text(json.dumps({"boss": BOSS, **keys}))
        gateway = start_gateway(WEB_CONCURRENCY=4, **settings)
        gateway.wait_ready()
        return gateway

    return begin


def status(gateway: Gateway) -> Any:
    return gateway.request("GET", "/admin/status", headers={"X-API-Key": ADMIN}).json()


def test_the_status_tells_phase_load_and_how_old_the_keys_are(start: Callable[..., Gateway]) -> None:
    gateway = start({"tester": KEY})

    found = status(gateway)

    assert (found["phase"], found["requests_in_flight"]) == ("ready", 0)
    assert (found["keys"]["store"], found["keys"]["version"]) == ("file", None)
    assert (found["keys"]["keys"], found["keys"]["names"], found["keys"]["failure"]) == (2, 2, None)
    assert 0 <= found["keys"]["age_seconds"] < 30


def test_the_status_lists_every_key_by_its_state(start: Callable[..., Gateway]) -> None:
    later = {"key": KEY, "expires": "2999-01-01T00:00:00Z"}
    over = {"key": "sk-old-0123456789abcdef", "id": "k0", "expires": "2020-01-01T00:00:00Z"}
    gateway = start({"a": [later, over], "b": {"key": "sk-off-0123456789abcdef", "disabled": True}})

    found = {entry["id"]: entry for entry in status(gateway)["keys"]["list"]}

    assert found["k0"]["state"] == "expired"
    assert found["k0"]["expires"] == "2020-01-01T00:00:00+00:00"
    assert found["op-1"]["scopes"] == ["inference", "admin"]
    assert sorted(entry["state"] for entry in found.values()) == ["active", "active", "disabled", "expired"]


def test_a_worker_tells_when_any_of_them_last_let_a_key_in(start: Callable[..., Gateway]) -> None:
    gateway = start({"tester": KEY, "idle": "sk-idle-0123456789abcdef"})
    statuses_everywhere(gateway, KEY)

    found = {entry["name"]: entry["last_used"] for entry in status(gateway)["keys"]["list"]}

    assert found["idle"] is None
    used = datetime.fromisoformat(found["tester"]).timestamp()
    assert abs(time.time() - used) < 10


def test_problems_of_the_start_and_risks_are_told_by_entry(start: Callable[..., Gateway]) -> None:
    gateway = start({"tester": "short-key", "bad": ""})

    keys = status(gateway)["keys"]

    assert keys["problems"][0].startswith("entry 'bad': ")
    assert keys["warnings"] == ["entry 'tester': the key has fewer than 20 characters and may be guessed"]


def test_a_reload_of_a_file_has_no_version_and_refuses_to_be_asked_for_one(
    start: Callable[..., Gateway],
) -> None:
    gateway = start({"tester": KEY})

    assert reload(gateway, key=ADMIN).json()["version"] is None
    refused = reload(gateway, "?version=1", key=ADMIN)
    assert (refused.status, refused.error_code) == (400, "invalid_field")


def change(gateway: Gateway, field: str, seconds: float) -> float:
    """Reload with a key whose field is so far from now; returns that time."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    entry = {"key": KEY, field: moment.isoformat()}
    gateway.keys_file.write_text(json.dumps({"boss": BOSS, "tester": entry}))
    assert reload(gateway, key=ADMIN).status == 200
    return moment.timestamp()


def test_a_key_is_refused_within_a_second_of_its_end(start: Callable[..., Gateway]) -> None:
    gateway = start({})
    ends = change(gateway, "expires", 3)
    assert status_of(gateway, KEY) == 200

    wait_until(lambda: status_of(gateway, KEY) == 401)

    assert -0.1 < time.time() - ends < 1
    assert statuses_everywhere(gateway, KEY) == {401}


def test_a_key_is_accepted_from_its_first_moment_on(start: Callable[..., Gateway]) -> None:
    gateway = start({})
    begins = change(gateway, "not_before", 3)
    assert status_of(gateway, KEY) == 401

    wait_until(lambda: status_of(gateway, KEY) == 200)

    assert -0.1 < time.time() - begins < 1


def test_the_log_tells_who_reloaded_and_what_changed(start: Callable[..., Gateway]) -> None:
    gateway = start({"gone": KEY})
    gateway.keys_file.write_text(json.dumps({"boss": BOSS, "came": "sk-came-0123456789abcdef"}))

    reload(gateway, key=ADMIN)

    line = gateway.log_line(action="reload keys")
    assert (line["by"], line["keys"]) == ("boss", 2)
    assert (line["added_names"], line["removed_names"], line["changed_names"]) == (["came"], ["gone"], [])
