"""A wall clock that jumps changes neither a stream nor a limit; only the expiry of keys goes by it."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fake_vllm import FakeVllmThread
from tests.gateway import KEY, Gateway, wait_until

(LIBRARY, *_) = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None]
GUEST_KEY = "sk-valid-for-half-an-hour-only"


class Clock:
    """The wall clock of one gateway; its monotonic clock goes on as it is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump("+0")

    def jump(self, offset: str) -> None:
        """By so many seconds from the true time, such as `-3600`."""
        self._file.write_text(offset)

    def settings(self) -> dict[str, str]:
        """What the gateway is started with."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    assert LIBRARY is not None, "Debian's package faketime is needed"
    return Clock(tmp_path / "offset")


@pytest.fixture
def gateway(tmp_path: Path, clock: Clock) -> Iterator[Gateway]:
    expires = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()
    keys = {"tester": KEY, "guest": {"key": GUEST_KEY, "expires": expires}}
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    with FakeVllmThread() as upstream, Gateway(tmp_path, upstream.url, **clock.settings()) as running:
        running.wait_ready()
        yield running


def told_time(gateway: Gateway) -> str:
    return gateway.request("GET", "/health/live").headers["date"]


@pytest.mark.parametrize("offset", ["+3600", "-3600"])
def test_a_jump_of_an_hour_loses_no_request(gateway: Gateway, clock: Clock, offset: str) -> None:
    before = told_time(gateway)
    with gateway.open_chat(fake={"interval": 0.1, "events": 25}) as client:
        clock.jump(offset)
        wait_until(lambda: told_time(gateway)[17:19] != before[17:19])
        started = time.monotonic()
        statuses = {gateway.chat().status for _ in range(50)}
        body = client.read_body()

    assert statuses == {200}
    assert time.monotonic() - started < 10
    assert body.endswith(b"data: [DONE]\n\n")
    line = gateway.log_line(request_id=client.request_id)
    assert 2000 < line["duration_ms"] < 20_000


def test_a_key_expires_by_the_wall_clock(gateway: Gateway, clock: Clock) -> None:
    models = {"headers": {"X-API-Key": GUEST_KEY}}
    assert gateway.request("GET", "/v1/models", **models).status == 200

    clock.jump("+3600")

    wait_until(lambda: gateway.request("GET", "/v1/models", **models).status == 401)
    assert gateway.chat().status == 200
