"""An upstream that hangs is found out, and a busy one is not taken for it."""

import os
import signal
import time
from contextlib import ExitStack
from typing import Any

from tests.entrypoint import Entrypoint
from tests.fake_vllm import FakeVllmThread
from tests.gateway import Gateway, wait_until

FOUND_OUT_SECONDS = 20.0
ENDLESS = {"interval": 0.05, "events": 10_000, "before_head": 0}


def readiness(gateway: Gateway) -> tuple[int, str]:
    reply = gateway.request("GET", "/health/ready")
    return reply.status, reply.json()["phase"]


def test_an_upstream_that_is_gone_is_told_at_once(tmp_path: Any) -> None:
    with ExitStack() as life:
        upstream = life.enter_context(FakeVllmThread())
        with Gateway(tmp_path, upstream.url) as gateway:
            gateway.wait_ready()
            life.close()
            started = time.monotonic()

            reply = gateway.chat()

            assert (reply.status, reply.error_code) == (503, "upstream_unavailable")
            assert time.monotonic() - started < 1.0
            wait_until(lambda: readiness(gateway) == (503, "upstream_unavailable"))


def test_an_upstream_that_answers_no_probe_is_not_ready_until_it_does(tmp_path: Any) -> None:
    with FakeVllmThread() as upstream, Gateway(tmp_path, upstream.url) as gateway:
        gateway.wait_ready()
        upstream.fake.health_hangs = True

        wait_until(lambda: readiness(gateway) == (503, "upstream_unavailable"), FOUND_OUT_SECONDS)

        assert gateway.request("GET", "/health/live").status == 200
        upstream.fake.health_hangs = False
        gateway.wait_ready()


def test_one_probe_that_comes_late_changes_nothing(tmp_path: Any) -> None:
    with FakeVllmThread() as upstream, Gateway(tmp_path, upstream.url) as gateway:
        gateway.wait_ready()
        upstream.fake.health_hangs = True
        until = time.monotonic() + 3.0  # one probe's time and the pause before the second
        while time.monotonic() < until:
            assert readiness(gateway) == (200, "ready")
        upstream.fake.health_hangs = False

        gateway.wait_ready()
        assert gateway.log_lines(message="upstream is gone") == []


def test_an_engine_that_makes_no_tokens_is_not_ready_until_it_does(tmp_path: Any) -> None:
    """Its health route answers 200 all the time, as vLLM's does."""
    with (
        FakeVllmThread() as upstream,
        Gateway(tmp_path, upstream.url, FIRST_BYTE_TIMEOUT_SECONDS=0.5) as gateway,
    ):
        gateway.wait_ready()
        upstream.fake.defaults = {"before_head": 3600}
        assert gateway.chat().status == 504

        wait_until(lambda: readiness(gateway) == (503, "upstream_unavailable"), FOUND_OUT_SECONDS)
        upstream.fake.defaults = {}

        gateway.wait_ready()
        assert gateway.chat().status == 200


def test_a_full_queue_is_not_taken_for_a_hang(tmp_path: Any) -> None:
    with (
        FakeVllmThread() as upstream,
        Gateway(tmp_path, upstream.url, FIRST_BYTE_TIMEOUT_SECONDS=3) as gateway,
    ):
        gateway.wait_ready()
        upstream.fake.defaults = {"before_head": 3600}  # whoever comes now has to wait
        # So slow that a token is asked for between two events, and does not come: it has to wait as well.
        with gateway.open_chat(fake={**ENDLESS, "interval": 0.4}) as running:
            pieces = running.body()
            assert gateway.chat().status == 504
            until = time.monotonic() + 4.5  # the token is given up 3 s after it was asked for
            while time.monotonic() < until:
                next(pieces)
                assert readiness(gateway) == (200, "ready")


def test_a_model_server_that_hangs_for_too_long_ends_both(start_both: Any) -> None:
    entrypoint: Entrypoint = start_both(UPSTREAM_HANG_SECONDS=2, DRAIN_SECONDS=1)
    entrypoint.wait_ready()

    entrypoint.vllm.suspend()

    assert entrypoint.end(20) == 1
    assert len(entrypoint.log_lines(message="the model server hangs; ending")) == 1


def test_workers_without_a_master_end_and_free_the_port(start_gateway: Any) -> None:
    gateway = start_gateway(DRAIN_SECONDS=1)
    gateway.wait_ready()
    workers = gateway.worker_pids()
    with gateway.open_chat(fake={"interval": 0.1, "events": 1000}) as client:
        os.kill(gateway.process.pid, signal.SIGKILL)
        gateway.process.wait()
        body = client.read_body()

    assert body.count(b'"server_shutdown"') == 1
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers))
    assert not gateway.is_alive()
