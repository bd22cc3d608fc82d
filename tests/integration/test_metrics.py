"""What Prometheus is told, by whichever worker, in every phase of an instance's life."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from app.metrics.vllm import FAMILY_OF, TYPES
from tests.client import KEY
from tests.fake_metrics import METRICS
from tests.fake_vllm import FakeVllm
from tests.gateway import Gateway, chat_body, wait_until
from tests.local import free_port
from tests.scrape import ADMIN, BOSS, Scrape, scrape, went_back
from tests.strangers import ask_wrong

KEYS = {"boss": BOSS, "tester": KEY}


@pytest.fixture(scope="module")
def watched(gateway_of: Callable[[Any], Gateway]) -> Gateway:
    return gateway_of(KEYS)


@pytest.fixture
def start(start_gateway: Callable[..., Gateway], tmp_path: Path) -> Callable[..., Gateway]:
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    return start_gateway


@pytest.fixture
def upstream_metrics(fake: FakeVllm) -> Iterator[Callable[[int, bytes], None]]:
    """Have the upstream answer a scrape so, for one test."""
    usual = fake.metrics

    def answer(status: int, body: bytes) -> None:
        fake.metrics = (status, body)

    yield answer
    fake.metrics = usual


def ask(gateway: Gateway, target: str, **headers: str) -> tuple[int, str]:
    reply = gateway.request("GET", target, headers={"X-API-Key": ADMIN, **headers})
    return reply.status, reply.error_code if reply.status != 200 else reply.headers["content-type"]


def test_the_text_has_the_type_that_prometheus_asks_for(watched: Gateway) -> None:
    assert ask(watched, "/metrics")[1].startswith("text/plain; version=0.0.4")
    for accept in (
        "application/openmetrics-text;version=1.0.0;q=0.5, */*",
        "application/openmetrics-text;version=x",
    ):
        reply = watched.request("GET", "/metrics", headers={"X-API-Key": ADMIN, "Accept": accept})
        assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert {family.name for family in parse_openmetrics(reply.body.decode())} >= {"vllm_gateway_requests"}


@pytest.mark.parametrize("target", ["/metrics", "/metrics/vllm"])
def test_only_an_admin_may_read_them(watched: Gateway, target: str) -> None:
    assert watched.request("GET", target).error_code == "missing_or_invalid_key"
    assert watched.request("GET", target, headers={"X-API-Key": KEY}).error_code == "insufficient_scope"
    assert watched.request("GET", target, headers={"Authorization": f"Bearer {ADMIN}"}).status == 200


def test_a_plain_set_is_told_how_to_make_an_admin(gateway: Gateway) -> None:
    reply = gateway.request("GET", "/metrics", headers={"X-API-Key": KEY})

    assert reply.status == 403
    assert "keys add --name operator --scope admin" in reply.json()["error"]["message"]


def test_two_workers_tell_the_same(start: Callable[..., Gateway]) -> None:
    gateway = start(WEB_CONCURRENCY=4)
    gateway.wait_ready()
    for _ in range(20):
        gateway.chat()
    wait_until(lambda: scrape(gateway).sum("key_requests_total", key="tester") == 20)

    found = [scrape(gateway).sum("key_requests_total", key="tester") for _ in range(20)]

    assert set(found) == {20}


def test_a_request_is_seen_while_it_runs(watched: Gateway) -> None:
    with watched.open_chat(fake={"interval": 0.05, "events": 1000}):
        found = scrape(watched)

        assert (found.sum("requests_in_flight"), found.sum("requests_at_upstream")) == (1, 1)
    wait_until(lambda: scrape(watched).sum("client_aborts_total", route="/v1/chat/completions") == 1)
    assert scrape(watched).sum("requests_in_flight") == 0


def test_a_request_that_waits_for_the_model_is_seen(start: Callable[..., Gateway]) -> None:
    gateway = start(f"http://127.0.0.1:{free_port()}")
    with gateway.connect() as client:
        client.send_request("POST", "/v1/chat/completions", chat_body(stream=False))

        wait_until(lambda: scrape(gateway).sum("requests_held") == 1)

        found = scrape(gateway)
        assert (found.sum("phase", phase="loading"), found.sum("ready"), found.sum("upstream_up")) == (
            1,
            0,
            0,
        )
    wait_until(lambda: scrape(gateway).sum("requests_held") == 0)


def test_a_scrape_works_while_the_instance_shuts_down(start: Callable[..., Gateway]) -> None:
    gateway = start(DRAIN_SECONDS=20)
    gateway.wait_ready()
    with gateway.open_chat(fake={"interval": 0.05, "events": 1000}):
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: gateway.request("GET", "/health/ready").status == 503)

        found = wait_until(lambda: scrape(gateway).sum("draining_seconds") and scrape(gateway))

        assert (found.sum("phase", phase="draining"), found.sum("requests_in_flight")) == (1, 1)
        assert scrape(gateway, "/metrics/vllm").sum("vllm:num_requests_running") == 1
        assert ask(gateway, "/admin/status") == (503, "draining")


def test_a_scrape_tells_that_keys_cannot_be_read(start: Callable[..., Gateway]) -> None:
    gateway = start(API_KEYS_REFRESH_SECONDS=0.1)
    wait_until(lambda: scrape(gateway).sum("keys", state="active") == 2)
    gateway.keys_file.write_text("{")

    found = wait_until(lambda: scrape(gateway).sum("keys_last_reading_failed") and scrape(gateway))

    assert found.sum("keys", state="active") == 2
    assert found.sum("keys_age_seconds") > 0


def test_without_any_keys_nobody_is_let_in(start: Callable[..., Gateway], tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")

    assert ask(start(), "/metrics") == (503, "keys_unavailable")


def test_keys_are_told_by_state_and_by_their_end(gateway_of: Callable[[Any], Gateway]) -> None:
    ends = {"key": "sk-ends-0123456789abcdef", "id": "k9", "expires": "2999-01-01T00:00:00Z"}
    over = {"key": "sk-over-0123456789abcdef", "expires": "2020-01-01T00:00:00Z"}
    gateway = gateway_of({"boss": BOSS, "guest": [ends, over]})

    found = scrape(gateway)

    assert (found.sum("keys", state="active"), found.sum("keys", state="expired")) == (2, 1)
    assert found.sum("key_expires_timestamp_seconds", key="guest", key_id="k9") == 32472144000


def test_requests_that_have_no_line_are_counted(start: Callable[..., Gateway]) -> None:
    gateway = start(WEB_CONCURRENCY=1)
    with gateway.connect() as client:
        ask_wrong(client, 70)

    found = scrape(gateway)

    lines = len(gateway.log_lines(message="request", outcome="missing_or_invalid_key"))
    assert found.sum("requests_total", outcome="missing_or_invalid_key") == 70
    assert found.sum("unlogged_requests_total") == 70 - lines > 0


def test_every_process_is_told_and_no_other(start: Callable[..., Gateway]) -> None:
    gateway = start(WEB_CONCURRENCY=3)
    wait_until(lambda: scrape(gateway).sum("workers") == 3)
    before = scrape(gateway)
    gateway.kill_workers()
    wait_until(lambda: gateway.is_alive() and scrape(gateway).sum("workers") == 3)

    after = scrape(gateway)

    processes = {dict(labels)["process"] for name, labels in after.samples if name.endswith("open_fds")}
    assert processes == {"master", "worker-0", "worker-1", "worker-2"}
    assert after.sum("process_cpu_seconds_total") >= before.sum("process_cpu_seconds_total") > 0
    assert after.sum("process_start_time_seconds") > before.sum("process_start_time_seconds")


def test_no_counter_goes_back_while_workers_are_killed_and_replaced(start: Callable[..., Gateway]) -> None:
    gateway = start(WEB_CONCURRENCY=4)
    gateway.wait_ready()
    stop = threading.Event()
    askers = [threading.Thread(target=keep_asking, args=(gateway, stop)) for _ in range(4)]
    for asker in askers:
        asker.start()
    seen = [scrape(gateway)]
    for turn in range(6):
        if turn % 2:
            gateway.process.send_signal(signal.SIGHUP)
        else:
            gateway.kill_workers()
        seen += [found for _ in range(10) if (found := try_scrape(gateway))]
    stop.set()
    for asker in askers:
        asker.join()

    assert len(seen) > 20
    assert [went_back(*pair) for pair in zip(seen, seen[1:], strict=False)] == [{}] * (len(seen) - 1)
    assert seen[-1].sum("key_requests_total") > 20


def keep_asking(gateway: Gateway, stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(OSError, HTTPException):  # its worker was killed
            gateway.chat()


def try_scrape(gateway: Gateway) -> Scrape | None:
    try:
        return scrape(gateway)
    except (OSError, HTTPException):
        return None


def test_the_upstreams_own_metrics_come_through_without_its_configuration(watched: Gateway) -> None:
    found = scrape(watched, "/metrics/vllm")

    assert {family.name for family in found.families} == {
        name.removesuffix("_total") if kind == "counter" else name for name, kind in TYPES.items()
    }
    told = Scrape(METRICS)
    assert found.samples == {key: value for key, value in told.samples.items() if key[0] in FAMILY_OF}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"detail":"Not Found"}'),
        (401, b"{}"),
        (307, b"vllm:num_requests_running 1"),
        (200, b""),
        (200, b'{"nothing": "of the kind"}'),
        (200, b"\xff\xfe\x00" * 1000),
        (200, b"python_info 1\n"),
        (200, b"vllm:num_requests_running 1\n" + b"x" * 5 * 1024 * 1024),
    ],
    ids=["none", "closed", "elsewhere", "empty", "json", "bytes", "others", "huge"],
)
def test_an_upstream_without_metrics_is_a_502(
    watched: Gateway, upstream_metrics: Callable[[int, bytes], None], status: int, body: bytes
) -> None:
    upstream_metrics(status, body)

    assert ask(watched, "/metrics/vllm") == (502, "upstream_error")
    assert scrape(watched).sum("upstream_errors_total") == 0


def test_an_upstream_that_is_away_is_a_503(start: Callable[..., Gateway]) -> None:
    gateway = start(f"http://127.0.0.1:{free_port()}")

    assert ask(gateway, "/metrics/vllm") == (503, "upstream_unavailable")
