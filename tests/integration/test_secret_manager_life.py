"""A gateway's life with Secret Manager: its start, its refreshes, and a store that is down or slow."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.everywhere import is_served, reload, status_of, statuses_everywhere
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.gateway import KEY, Gateway, wait_until
from tests.secret_client import UNUSABLE, put_keys, reads

NEW = "sk-new-0123456789abcdef"
ADMIN = "sk-admin-0123456789abcdef"
StartOnSecret = Callable[..., Gateway]


@pytest.fixture
def four(secret_manager: FakeSecretManagerThread, start_on_secret: StartOnSecret) -> Gateway:
    """Four workers that have their first keys from version 1."""
    put_keys(secret_manager, {"tester": KEY})
    gateway = start_on_secret(WEB_CONCURRENCY=4)
    gateway.wait_ready()
    return gateway


def test_one_worker_reads_for_all_and_everyone_follows_within_the_interval(
    secret_manager: FakeSecretManagerThread, start_on_secret: StartOnSecret
) -> None:
    put_keys(secret_manager, {"tester": KEY})
    gateway = start_on_secret(WEB_CONCURRENCY=4, API_KEYS_REFRESH_SECONDS=1)
    gateway.wait_ready()
    put_keys(secret_manager, {"tester": NEW})

    wait_until(lambda: gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY}).status == 401, 3.0)

    assert statuses_everywhere(gateway, KEY) == {401}
    assert statuses_everywhere(gateway, NEW) == {200}
    line = gateway.log_line(message="keys refreshed", version=2)
    assert line["changed_names"] == ["tester"]
    # Four readers of their own would have come to four times as many.
    seconds = gateway.request("GET", "/health/ready").json()["seconds"]
    assert reads(secret_manager) <= 2 + seconds / 0.8


def test_a_store_that_is_down_at_the_start_means_503_until_it_is_up(
    secret_manager: FakeSecretManagerThread, start_on_secret: StartOnSecret
) -> None:
    put_keys(secret_manager, {"tester": KEY})
    secret_manager.stop()
    gateway = start_on_secret()

    for headers in ({}, {"X-API-Key": KEY}, {"X-API-Key": "sk-wrong-0123456789abcdef"}):
        reply = gateway.request("GET", "/v1/models", headers=headers)
        assert (reply.status, reply.error_code) == (503, "keys_unavailable")
        assert 1 <= int(reply.headers["retry-after"]) <= 59
    ready = gateway.request("GET", "/health/ready")
    assert (ready.status, ready.json()["phase"]) == (503, "keys_unavailable")
    assert gateway.request("GET", "/health/live").status == 200
    assert gateway.request("GET", "/v1/unknown").status == 404

    secret_manager.start()
    gateway.wait_ready()
    assert status_of(gateway, KEY) == 200


@pytest.mark.parametrize("content", UNUSABLE[:9])
def test_a_malformed_secret_at_the_start_means_503_until_it_is_mended(
    secret_manager: FakeSecretManagerThread, start_on_secret: StartOnSecret, content: bytes
) -> None:
    put_keys(secret_manager, content)
    gateway = start_on_secret()

    assert status_of(gateway, KEY) == 503
    put_keys(secret_manager, {"tester": KEY})

    gateway.wait_ready()
    assert status_of(gateway, KEY) == 200


def test_a_failure_that_goes_on_is_logged_once_and_its_end_is_seen_in_the_status(
    secret_manager: FakeSecretManagerThread, start_on_secret: StartOnSecret
) -> None:
    put_keys(secret_manager, {"boss": {"key": ADMIN, "scopes": ["inference", "admin"]}})
    gateway = start_on_secret(API_KEYS_REFRESH_SECONDS=0.3)
    gateway.wait_ready()

    def keys() -> Any:
        return gateway.request("GET", "/admin/status", headers={"X-API-Key": ADMIN}).json()["keys"]

    before = reads(secret_manager)
    secret_manager.fake.failure = 403
    wait_until(lambda: reads(secret_manager) >= before + 4)
    assert "no right" in keys()["failure"]
    assert keys()["age_seconds"] > 0.5
    line = gateway.log_line(message="keys not refreshed")
    assert (line["reason"], line["severity"]) == (keys()["failure"], "WARNING")
    assert "keys_age_seconds" in line

    secret_manager.fake.failure = None
    wait_until(lambda: keys()["failure"] is None)


def test_a_slow_store_delays_no_other_request_of_the_worker(
    secret_manager: FakeSecretManagerThread, start_on_secret: StartOnSecret
) -> None:
    put_keys(secret_manager, {"tester": KEY})
    gateway = start_on_secret(WEB_CONCURRENCY=1, API_KEYS_REFRESH_SECONDS=0.5)
    gateway.wait_ready()
    secret_manager.fake.latency = 1.8
    before = reads(secret_manager)

    with gateway.open_chat(fake={"events": 200, "interval": 0.02}) as ticking:
        arrivals = [time.monotonic() for piece in ticking.body() if b"data" in piece]

    gaps = [later - earlier for earlier, later in zip(arrivals, arrivals[1:], strict=False)]
    assert reads(secret_manager) > before
    assert sum(gaps) > 3
    assert max(gaps) < 1.2


def test_the_file_wins_over_the_secret(
    secret_manager: FakeSecretManagerThread, start_gateway: Callable[..., Gateway]
) -> None:
    gateway = start_gateway(GCP_PROJECT="my-project", SECRET_MANAGER_ENDPOINT=secret_manager.url)
    gateway.wait_ready()

    assert status_of(gateway, KEY) == 200
    assert secret_manager.fake.requests == []


def test_a_gateway_with_a_key_file_never_imports_googles_client(gateway: Gateway) -> None:
    for pid in [gateway.process.pid, *gateway.worker_pids()]:
        with open(f"/proc/{pid}/maps") as maps:
            assert "grpc" not in maps.read()


def test_a_worker_that_is_born_while_the_store_is_down_knows_the_current_set(
    four: Gateway, secret_manager: FakeSecretManagerThread
) -> None:
    put_keys(secret_manager, {"tester": NEW})
    reload(four)
    secret_manager.stop()
    four.kill_workers()

    wait_until(lambda: is_served(four, NEW))

    assert statuses_everywhere(four, KEY) == {401}


def test_the_log_of_a_start_names_the_version_and_no_key(four: Gateway) -> None:
    line = four.log_line(message="keys refreshed")

    assert (line["version"], line["added_names"]) == (1, ["tester"])
    assert KEY not in json.dumps(four.log_lines())


def test_the_first_client_of_a_new_gateway_waits_for_the_keys_instead_of_being_refused(
    secret_manager: FakeSecretManagerThread, start_on_secret: StartOnSecret
) -> None:
    put_keys(secret_manager, {"tester": KEY})
    secret_manager.fake.latency = 0.4

    gateway = start_on_secret(WEB_CONCURRENCY=2)

    assert status_of(gateway, KEY) == 200
    assert gateway.log_lines(outcome="keys_unavailable") == []
