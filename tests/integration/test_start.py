"""Until the model is ready, requests wait, probes say why, and one worker warms the model up."""

import threading
import time
from typing import Any

from tests.fake_vllm import FakeVllm, FakeVllmThread
from tests.gateway import Gateway, wait_until
from tests.local import free_port


def test_before_the_first_readiness_everything_but_live_says_so(start_gateway: Any) -> None:
    gateway = start_gateway(f"http://127.0.0.1:{free_port()}")
    wait_until(lambda: gateway.request("GET", "/health/startup").json()["phase"] != "process")

    for target in ("/health", "/health/ready", "/health/startup"):
        reply = gateway.request("GET", target)
        assert (reply.status, reply.json()["phase"]) == (503, "loading")
    assert gateway.request("GET", "/health/live").status == 200


def test_a_request_is_held_until_the_model_is_ready(start_gateway: Any, fake: FakeVllm) -> None:
    fake.health_status = 503
    try:
        gateway = start_gateway()
        timer = threading.Timer(1.0, lambda: setattr(fake, "health_status", 200))
        timer.start()
        started = time.monotonic()

        reply = gateway.chat()

        assert reply.status == 200
        assert time.monotonic() - started > 0.5
    finally:
        timer.cancel()
        fake.health_status = 200


def tokens_asked(upstream: FakeVllmThread) -> list[int]:
    return [r.json()["max_tokens"] for r in upstream.fake.received if r.target == "/v1/completions"]


def test_a_model_that_makes_no_token_yet_is_not_ready(tmp_path: Any) -> None:
    with FakeVllmThread() as upstream:
        upstream.fake.defaults = {"status": 500}
        with Gateway(tmp_path, upstream.url, WARM_UP="true") as gateway:
            wait_until(lambda: tokens_asked(upstream))
            reply = gateway.request("GET", "/health/ready")
            assert (reply.status, reply.json()["phase"]) == (503, "warm-up")
            upstream.fake.defaults = {}
            gateway.wait_ready()

        assert len(tokens_asked(upstream)) >= 2


def test_one_worker_asks_for_one_token(tmp_path: Any) -> None:
    settings = {"WARM_UP": "true", "WEB_CONCURRENCY": 4}
    with FakeVllmThread() as upstream:
        upstream.fake.defaults = {"before_head": 1.0}
        with Gateway(tmp_path, upstream.url, **settings) as gateway:
            gateway.wait_ready()

        assert tokens_asked(upstream) == [1]


def test_a_model_without_completions_counts_as_warm(tmp_path: Any) -> None:
    with FakeVllmThread() as upstream:
        upstream.fake.defaults = {"status": 404}
        with Gateway(tmp_path, upstream.url, WARM_UP="true") as gateway:
            gateway.wait_ready()
