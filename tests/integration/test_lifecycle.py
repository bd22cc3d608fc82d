"""The gateway tells its state truly, and ends without losing an answer."""

import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.fake_vllm import FakeVllmThread
from tests.gateway import KEY, Gateway, wait_until
from tests.local import ROOT


def test_health_is_open_to_anyone_and_says_little(gateway: Gateway) -> None:
    for target in ("/health", "/health/live", "/health/ready", "/health/startup"):
        reply = gateway.request("GET", target)

        assert reply.status == 200
        phases = {"phases"} if target == "/health/startup" else set()
        assert set(reply.json()) == {"status", "phase", "seconds"} | phases
        assert reply.headers["cache-control"] == "no-store"


def test_health_follows_the_upstream(tmp_path: Any) -> None:
    with FakeVllmThread() as upstream, Gateway(tmp_path, upstream.url) as gateway:
        gateway.wait_ready()

        upstream.fake.health_status = 503
        wait_until(lambda: gateway.request("GET", "/health/ready").status == 503)

        assert gateway.request("GET", "/health").json()["phase"] == "upstream_unavailable"
        assert gateway.request("GET", "/health/live").status == 200
        assert gateway.request("GET", "/health/startup").status == 200


def test_sigterm_lets_a_short_stream_finish_and_refuses_new_work(start_gateway: Any) -> None:
    gateway = start_gateway()
    gateway.wait_ready()
    with gateway.open_chat(fake={"interval": 0.3, "events": 6}) as client, gateway.connect() as idle:
        idle.send_request("GET", "/health/live")
        idle.read_head()
        idle.read_body()

        gateway.process.send_signal(signal.SIGTERM)
        stopped_at = time.monotonic()
        assert idle.read_to_end() == b""
        assert time.monotonic() - stopped_at < 1.0
        refused = gateway.chat()
        ready = gateway.request("GET", "/health/ready")
        body = client.read_body()

    assert (refused.status, refused.error_code) == (503, "draining")
    assert (ready.status, ready.json()["phase"]) == (503, "draining")
    assert client.is_whole
    assert body.endswith(b"data: [DONE]\n\n")
    assert gateway.process.wait(5) == 0


def test_sigterm_ends_a_long_stream_with_an_error_event_and_a_cut(start_gateway: Any) -> None:
    gateway = start_gateway(DRAIN_SECONDS=1)
    gateway.wait_ready()
    with gateway.open_chat(fake={"interval": 0.1, "events": 1000}) as client:
        gateway.process.send_signal(signal.SIGTERM)
        stopped_at = time.monotonic()
        body = client.read_body()

    assert body.count(b'"server_shutdown"') == 1
    assert b"[DONE]" not in body
    assert not client.is_whole
    assert gateway.process.wait(5) == 0
    assert 0.8 < time.monotonic() - stopped_at < 6.0


def test_sigterm_answers_a_request_that_waits_for_its_first_byte(start_gateway: Any) -> None:
    gateway = start_gateway(DRAIN_SECONDS=1)
    gateway.wait_ready()
    with gateway.connect() as client:
        body = {"model": "m", "stream": True, "fake": {"before_head": 60}}
        client.send_request("POST", "/v1/chat/completions", body)
        gateway.process.send_signal(signal.SIGTERM)

        assert client.read_head() == 503
        assert b'"draining"' in client.read_body()
    assert gateway.process.wait(5) == 0


def test_sigterm_answers_a_client_that_is_still_uploading(start_gateway: Any) -> None:
    gateway = start_gateway(DRAIN_SECONDS=1)
    gateway.wait_ready()
    with gateway.connect() as client:
        client.send_request("POST", "/v1/chat/completions", {"model": "m"}, Content_Length="100")
        wait_until(lambda: gateway.request("GET", "/health/live").status == 200)
        gateway.process.send_signal(signal.SIGTERM)

        assert client.read_head() == 503
        assert b'"draining"' in client.read_body()
    assert gateway.log_line(request_id=client.request_id)["outcome"] == "draining"


def test_sigterm_is_heard_while_the_master_still_replaces_workers(start_gateway: Any) -> None:
    gateway = start_gateway(DRAIN_SECONDS=1)
    gateway.wait_ready()
    with gateway.open_chat(fake={"interval": 0.1, "events": 1000}) as client:
        before = gateway.worker_pids()
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(gateway.worker_pids() - before) == 2)
        gateway.process.send_signal(signal.SIGTERM)
        stopped_at = time.monotonic()
        body = client.read_body()

    assert body.count(b'"server_shutdown"') == 1
    assert gateway.process.wait(10) == 0
    assert time.monotonic() - stopped_at < 6.0


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"PORT": "eighty"}, "PORT"),
        ({"WEB_CONCURRENCY": "0"}, "WEB_CONCURRENCY"),
        ({"DRAIN_SECONDS": "soon"}, "DRAIN_SECONDS"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT"),
        ({"VLLM_BASE_URL": "ftp://somewhere"}, "VLLM_BASE_URL"),
        ({"API_KEYS_FILE": "/no/such/file"}, "API_KEYS_FILE"),
        ({"API_KEYS_FILE": ""}, "API_KEYS_FILE"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_sentence(settings: dict[str, str], named: str) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    environ = {"API_KEYS_FILE": "README.md", **settings}

    result = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=20)

    assert result.returncode != 0
    assert len(result.stderr.strip().splitlines()) == 1
    assert named in result.stderr


def test_text_logs_are_for_people(start_gateway: Any) -> None:
    gateway = start_gateway(LOG_FORMAT="text")
    gateway.wait_ready()

    gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY})

    wait_until(lambda: " 200 GET /v1/models tester complete " in gateway.log_file.read_text())
