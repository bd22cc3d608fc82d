"""A key in either header opens the gateway; nothing else does, and no key leaks anywhere."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway import KEY, Gateway

OTHER = "sk-other-0123456789abcdef"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl"  # pragma: allowlist secret
KEYS = {
    "tester": KEY,
    "other": [OTHER, "sk-other-second-0123456789"],
    "expired": {"key": "sk-expired-0123456789abcd", "expires": "2020-01-01T00:00:00Z"},
    "disabled": {"key": "sk-disabled-0123456789abc", "disabled": True},
    "scopeless": {"key": "sk-scopeless-0123456789ab", "scopes": []},
}


@pytest.fixture(scope="module")
def several(gateway_of: Callable[[Any], Gateway]) -> Gateway:
    return gateway_of(KEYS)


@pytest.mark.parametrize(
    ("headers", "source"),
    [
        ({"X-API-Key": KEY}, "X-API-Key"),
        ({"x-api-key": f"  {KEY}  "}, "X-API-Key"),
        ({"Authorization": f"Bearer {KEY}"}, "Authorization"),
        ({"Authorization": f"bearer   {KEY}"}, "Authorization"),
        ({"Authorization": f"Bearer {KEY}", "X-API-Key": KEY}, "X-API-Key"),
        ({"Authorization": f"Bearer {JWT}", "X-API-Key": KEY}, "X-API-Key"),
        ({"Authorization": f"Bearer {KEY}", "X-API-Key": ""}, "Authorization"),
        ({"Authorization": "Bearer sk-unknown", "X-API-Key": KEY}, "X-API-Key"),
        ({"X-API-Key": OTHER, "Authorization": "Bearer sk-other-second-0123456789"}, "X-API-Key"),
    ],
)
def test_a_key_in_either_header_is_accepted(several: Gateway, headers: dict[str, str], source: str) -> None:
    reply = several.request("GET", "/v1/models", headers=headers)

    assert reply.status == 200
    assert several.log_line(request_id=reply.request_id)["key_source"] == source


@pytest.mark.parametrize("key", ["", "sk-unknown", "sk-expired-0123456789abcd", "sk-disabled-0123456789abc"])
def test_anything_else_is_a_401_with_a_challenge(several: Gateway, key: str) -> None:
    reply = several.request("GET", f"/v1/models?api_key={KEY}", headers={"X-API-Key": key})

    assert (reply.status, reply.error_code) == (401, "missing_or_invalid_key")
    assert reply.headers["www-authenticate"] == "Bearer"


def test_a_wrong_key_is_not_to_be_sent_again(several: Gateway) -> None:
    reply = several.post("/v1/messages", {}, key="sk-unknown")

    assert (reply.status, reply.headers["x-should-retry"]) == (401, "false")


def test_a_key_without_the_scope_is_a_403_that_names_it(several: Gateway) -> None:
    reply = several.request("GET", "/v1/models", headers={"X-API-Key": "sk-scopeless-0123456789ab"})

    assert (reply.status, reply.error_code) == (403, "insufficient_scope")
    assert "inference" in reply.json()["error"]["message"]


def test_no_key_and_no_client_header_reaches_the_upstream(several: Gateway, received: Any) -> None:
    headers = {
        "X-API-Key": KEY,
        "Authorization": f"Bearer {KEY}",
        "Cookie": "a=b",
        "Host": "front.example:443",
        "X-Forwarded-For": "1.2.3.4",
        "X-Request-Id": "client-chosen",
        "X-Session-ID": "ses_1",
        "X-Custom": "x",
        "User-Agent": "opencode/1.18.33",
        "Accept": "*/*",
        "anthropic-version": "2023-06-01",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }

    reply = several.request("POST", "/v1/chat/completions", {"model": "m"}, headers)

    sent = dict(received(reply.request_id).headers)
    assert set(sent) == {
        "host", "accept-encoding", "content-length", "content-type", "accept",
        "anthropic-version", "traceparent", "x-request-id", "x-session-id",
    }  # fmt: skip
    assert sent["accept-encoding"] == "identity"
    assert sent["host"].startswith("127.0.0.1:")
    assert sent["x-session-id"] != "ses_1"


def test_the_log_tells_who_and_what_but_no_key_and_no_prompt(several: Gateway) -> None:
    canary = "canary-prompt-55"
    body = {"model": "fake/model-1", "messages": [{"role": "user", "content": canary}]}

    reply = several.post("/v1/chat/completions", body)
    line = several.log_line(request_id=reply.request_id)

    assert (line["key_name"], line["route"]) == ("tester", "/v1/chat/completions")
    assert line["model"] == "fake/model-1"
    assert (line["status"], line["outcome"]) == (200, "complete")
    assert (line["prompt_tokens"], line["completion_tokens"]) == (7, 5)
    assert line["bytes_out"] == len(reply.body)
    assert 0 < line["first_byte_ms"] <= line["duration_ms"]
    written = several.log_file.read_text()
    assert canary not in written
    assert not [key for key in (KEY, OTHER, "sk-") if key in written]


@pytest.mark.parametrize(
    ("hops", "forwarded", "peer"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "forged, 203.0.113.9", "203.0.113.9"),
        (2, "forged, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "10.0.0.1", "127.0.0.1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "[2001:db8::1]:443", "[2001:db8::1]:443"),
        (1, "10.0.0.1, no address", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_the_peer_is_the_one_that_trusted_proxies_saw(
    start_gateway: Any, hops: int, forwarded: str, peer: str
) -> None:
    gateway = start_gateway(TRUSTED_PROXY_HOPS=hops)

    reply = gateway.request("GET", "/nothing", headers={"X-Forwarded-For": forwarded})

    assert gateway.log_line(request_id=reply.request_id)["peer"] == peer
