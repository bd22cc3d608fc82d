"""A Host is a host, whoever asks for whatever; the upstream always hears the same one."""

import json
from typing import Any

import pytest

from tests.client import KEY
from tests.fake_vllm import FakeVllm
from tests.gateway import Gateway

BAD = [
    "",
    "x/?",
    "x/#",
    "a@b",
    "a,b",
    "a:0",
    "a:99999",
    "[::1",
    "[:::1]",
    "a\0",
    "a..b",
    "a" * 64,
    "http://a",
    "ü",
]
GOOD = ["a", "a.", "A.example:8080", "[::1]:80", "127.0.0.1", "vllm", "metadata.google.internal"]
# What each request comes to without a key, with a wrong one, and with a good one.
CASES = {
    "GET /health/live": (200, 200, 200),
    "GET /v1/models": (401, 401, 200),
    "POST /v1/chat/completions": (401, 401, 200),
    "POST /v1/messages": (401, 401, 200),
    "GET /admin/status": (401, 401, 403),
    "GET /admin/usage": (401, 401, 403),
    "GET /metrics": (401, 401, 403),
    "PUT /v1/models": (405, 405, 405),
    "GET /nothing": (404, 404, 404),
}
KEYS = {"none": "", "wrong": "X-API-Key: sk-wrong\r\n", "good": f"X-API-Key: {KEY}\r\n"}
BODY = '{"model":"m"}'


def ask(gateway: Gateway, first: str, host: str, key: str) -> tuple[int, bytes, str]:
    """Status, body and id of a request to a host."""
    body = BODY if first.startswith("POST") else ""
    lines = f"{first} HTTP/1.1\r\nHost: {host}\r\n{key}Content-Type: application/json\r\n"
    with gateway.connect() as client:
        client.sock.sendall(f"{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        client.read_head()
        return client.status, client.read_body(), client.request_id


@pytest.mark.parametrize("host", BAD)
@pytest.mark.parametrize("first", CASES)
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_what_is_no_host_is_a_400_for_everybody(
    gateway: Gateway, fake: FakeVllm, first: str, host: str, key: str
) -> None:
    before = len(fake.received)

    status, body, _ = ask(gateway, first, host, key)

    assert status == 400
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
    assert not [r for r in fake.received[before:] if r.target != "/health"]


@pytest.mark.parametrize("host", GOOD)
@pytest.mark.parametrize("first", CASES)
def test_a_host_changes_nothing(
    gateway: Gateway, fake: FakeVllm, received: Any, first: str, host: str
) -> None:
    asked = [ask(gateway, first, host, key) for key in KEYS.values()]

    assert tuple(status for status, _, _ in asked) == CASES[first]
    if first.startswith("POST"):
        headers = dict(received(asked[-1][2]).headers)
        assert headers["host"] == f"127.0.0.1:{gateway.environ['VLLM_BASE_URL'].rpartition(':')[2]}"
