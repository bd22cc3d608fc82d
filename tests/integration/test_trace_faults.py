"""Whatever becomes of the collector, requests hear nothing of it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app.span_export import EXPORT_SECONDS
from app.tracing import BATCH_SPANS
from tests.client import KEY
from tests.fake_collector import FakeCollector
from tests.fake_vllm import FakeVllmThread
from tests.gateway import Gateway, wait_until
from tests.local import free_port

FAULTS = ["silent", "garbage", "resetting", "dripping", "endless"]
DRAIN_SECONDS = 1
SLOW_SECONDS = 3.0  # far less than the library waits for a collector, and what a busy machine may take


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with FakeCollector() as running:
        yield running


Start = Callable[[str], Gateway]


@pytest.fixture
def start(tmp_path: Path, upstream: FakeVllmThread) -> Iterator[Start]:
    running: list[Gateway] = []

    def enter(url: str) -> Gateway:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "WEB_CONCURRENCY": 1, "DRAIN_SECONDS": DRAIN_SECONDS}
        running.append(Gateway(tmp_path, upstream.url, **settings).__enter__())
        running[0].wait_ready()
        return running[0]

    yield enter
    running[0].__exit__()


def slowest(gateway: Gateway, requests: int) -> float:
    """The longest of so many requests, in seconds; each is answered."""
    durations = []
    for _ in range(requests):
        began = time.monotonic()
        assert gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY}).status == 200
        durations.append(time.monotonic() - began)
    return max(durations)


def stop(gateway: Gateway) -> float:
    """How long it takes to end when it is told to."""
    began = time.monotonic()
    os.kill(gateway.process.pid, signal.SIGTERM)
    assert gateway.process.wait(timeout=15) == 0
    return time.monotonic() - began


@pytest.mark.parametrize("fault", FAULTS)
def test_a_collector_that_misbehaves_costs_spans_and_nothing_else(
    start: Start, collector: FakeCollector, fault: str
) -> None:
    collector.mood = fault
    gateway = start(collector.url)
    [worker] = gateway.worker_pids()
    before = psutil.Process(worker).memory_info().rss

    assert slowest(gateway, 2 * BATCH_SPANS) < SLOW_SECONDS
    wait_until(lambda: collector.heads, seconds=10)
    assert slowest(gateway, 2 * BATCH_SPANS) < SLOW_SECONDS

    assert psutil.Process(worker).memory_info().rss - before < 32 * 1024 * 1024
    assert stop(gateway) < DRAIN_SECONDS + SLOW_SECONDS
    assert "Traceback" not in gateway.log_file.read_text()


def test_without_a_collector_requests_go_on_and_the_log_says_so_once(start: Start) -> None:
    gateway = start(f"http://127.0.0.1:{free_port()}")

    assert slowest(gateway, 4 * BATCH_SPANS) < SLOW_SECONDS

    assert stop(gateway) < DRAIN_SECONDS + SLOW_SECONDS
    complaints = [line for line in gateway.log_lines() if line["logger"].startswith("opentelemetry")]
    assert len(complaints) <= 1
    assert "Traceback" not in gateway.log_file.read_text()


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_a_collector_that_refuses_is_told_of_once(
    start: Start, collector: FakeCollector, status: int
) -> None:
    collector.status = status
    gateway = start(collector.url)

    assert slowest(gateway, 4 * BATCH_SPANS) < SLOW_SECONDS
    wait_until(lambda: collector.heads, seconds=10)

    assert stop(gateway) < DRAIN_SECONDS + SLOW_SECONDS
    complaints = [line for line in gateway.log_lines() if line["logger"].startswith("opentelemetry")]
    assert [line["severity"] for line in complaints] in ([], ["ERROR"])
    assert complaints or status in (429, 503)  # which are tried again first


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", ["garbage", "dripping"])
def test_a_collector_that_comes_back_gets_what_was_kept(
    start: Start, collector: FakeCollector, fault: str
) -> None:
    collector.mood = fault
    gateway = start(collector.url)
    slowest(gateway, BATCH_SPANS)
    wait_until(lambda: collector.heads, seconds=10)
    collector.mood = "well"

    slowest(gateway, 10)

    wait_until(lambda: len(collector.spans) >= 10, seconds=EXPORT_SECONDS + 15)


def test_what_is_left_is_sent_at_the_end(start: Start, collector: FakeCollector) -> None:
    gateway = start(collector.url)
    slowest(gateway, 10)

    assert stop(gateway) < DRAIN_SECONDS + SLOW_SECONDS

    assert len([span for span in collector.spans if span["name"] == "GET /v1/models"]) == 10


def test_one_connection_carries_many_batches(start: Start, collector: FakeCollector) -> None:
    gateway = start(collector.url)

    slowest(gateway, 4 * BATCH_SPANS)
    wait_until(lambda: len(collector.spans) >= 4 * BATCH_SPANS, seconds=10)

    assert len(collector.heads) >= 4
    assert collector.connections == 1


def test_a_limit_of_the_library_that_is_no_number_is_refused_at_the_start(
    tmp_path: Path, upstream: FakeVllmThread
) -> None:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_ATTRIBUTE_COUNT_LIMIT": "x"}

    with pytest.raises(AssertionError, match="gateway: OTEL_ATTRIBUTE_COUNT_LIMIT must be"):
        Gateway(tmp_path, upstream.url, **settings).__enter__()
