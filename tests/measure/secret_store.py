"""A Secret Manager that is down for a minute at the start, and one that takes a second for each answer."""

import time
from pathlib import Path

from tests.everywhere import is_served, status_of
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.gateway import KEY, Gateway, wait_until
from tests.measure.figures import Row, at_most, none_of
from tests.measure.subjects import GatewaySubject
from tests.measure.upstream import Upstream
from tests.secret_client import put_keys, reads, secret_settings

SUBJECTS = ("gateway",)
DOWN_SECONDS = 60.0
EVENTS, INTERVAL = 400, 0.02


def run(_subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """Both, one after the other."""
    rows: list[Row] = []
    for measurement in (down_at_the_start, slow):
        with Upstream(folder) as upstream, FakeSecretManagerThread() as secret_manager:
            put_keys(secret_manager, {"tester": KEY})
            rows += measurement(folder, upstream, secret_manager, small=small)
    return rows


def down_at_the_start(
    folder: Path, upstream: Upstream, secret_manager: FakeSecretManagerThread, *, small: bool
) -> list[Row]:
    """Every answer is a 503 until it is up, and then the gateway serves by itself."""
    secret_manager.stop()
    settings = {"API_KEYS_FILE": "", **secret_settings(secret_manager)}
    statuses = []
    with Gateway(folder, upstream.url, **settings) as gateway:
        until = time.monotonic() + (DOWN_SECONDS / 10 if small else DOWN_SECONDS)
        while time.monotonic() < until:
            statuses.append(status_of(gateway, KEY))
            time.sleep(0.2)
        secret_manager.start()
        began = time.monotonic()
        wait_until(lambda: is_served(gateway, KEY), 60)
        seconds = time.monotonic() - began
    others = sum(status != 503 for status in statuses)
    return [
        none_of("store down at the start: answers other than 503", others, len(statuses)),
        at_most("store up again: until requests are served", seconds, 35, "s"),
    ]


def slow(
    folder: Path, upstream: Upstream, secret_manager: FakeSecretManagerThread, *, small: bool
) -> list[Row]:
    """The gaps of a stream that ticks, in a gateway of one worker, without and with a store that is slow."""
    settings = {"API_KEYS_FILE": "", "WEB_CONCURRENCY": 1, "API_KEYS_REFRESH_SECONDS": 1}
    with GatewaySubject(folder, upstream.url, **settings, **secret_settings(secret_manager)) as gateway:
        events = EVENTS // 4 if small else EVENTS
        quick = longest_gap(gateway, events)
        secret_manager.fake.latency = 1.0
        before = reads(secret_manager)
        late = longest_gap(gateway, events)
        asked = reads(secret_manager) - before
    return [
        Row("stream of 50 events a second: longest gap, quick store", f"{1000 * quick:.1f} ms"),
        at_most(f"the same, store answers after 1 s (read {asked} times meanwhile)", 1000 * late, 100, "ms"),
    ]


def longest_gap(gateway: Gateway, events: int) -> float:
    """Between two pieces of one stream, in seconds."""
    with gateway.open_chat(fake={"events": events, "interval": INTERVAL}) as client:
        arrivals = [time.monotonic() for _ in client.body()]
    return max(later - earlier for earlier, later in zip(arrivals, arrivals[1:], strict=False))
