"""The field policy on the wire: what the upstream gets of a request, and what never gets there."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.policy import DENY, FIELDS
from tests.client_requests import ORDINARY, without_salt
from tests.fake_vllm import FakeVllm, Received
from tests.gateway import KEY, Gateway

CHAT = "/v1/chat/completions"
WISH = b'"stream_options":{"include_usage":true},'
TEAM_KEYS = {
    "ann": "sk-policy-ann-0123456789",
    "ben": {"key": "sk-policy-ben-0123456789", "cache_group": "team"},
    "cat": [{"key": "sk-policy-cat-0123456789", "cache_group": "team"}, "sk-policy-cat2-0123456789"],
    "dan": {"key": "sk-policy-dan-0123456789", "cache_group": "other"},
}

Find = Callable[[str], Received]


@pytest.mark.parametrize(("path", "body"), [(p, b) for _, p, b in ORDINARY], ids=[n for n, _, _ in ORDINARY])
def test_an_ordinary_request_goes_on_byte_for_byte(
    gateway: Gateway, received: Find, path: str, body: dict[str, Any]
) -> None:
    raw = json.dumps(body).encode()

    reply = gateway.request("POST", path, raw, {"X-API-Key": KEY})

    assert reply.status == 200
    sent = without_salt(received(reply.request_id).body)
    assert sent.replace(WISH, b"", 1) == raw


@pytest.mark.parametrize("field", sorted(name for name, rule in FIELDS.items() if rule is DENY))
def test_a_refused_field_is_named_and_goes_nowhere(gateway: Gateway, fake: FakeVllm, field: str) -> None:
    before = len(fake.received)

    reply = gateway.post(CHAT, {"model": "m", "messages": [], field: {"secret": "of the client"}})

    error = reply.json()["error"]
    assert (reply.status, error["code"], error["param"]) == (400, "invalid_field", field)
    assert error["type"] == "invalid_request_error"
    assert "client" not in error["message"]
    assert not [r for r in fake.received[before:] if r.target == CHAT]


def test_a_refusal_on_messages_has_the_shape_of_anthropic(gateway: Gateway) -> None:
    reply = gateway.post("/v1/messages", {"model": "m", "vllm_xargs": {"a": 1}})

    assert reply.status == 400
    assert reply.json() == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "The field vllm_xargs is not allowed by this gateway.",
        },
    }


def test_what_is_the_servers_own_does_not_get_there(gateway: Gateway, received: Find) -> None:
    raw = rb'{"model": "m", "prio\u0072ity" : -9, "request_id":"r", "temperature": 1.50, "session_id": null}'

    reply = gateway.request("POST", CHAT, raw, {"X-API-Key": KEY})

    assert without_salt(received(reply.request_id).body) == b'{"model": "m","temperature": 1.50}'


def salt_of(gateway: Gateway, received: Find, key: str, **fields: Any) -> str:
    reply = gateway.post(CHAT, {"model": "m", "messages": [], **fields}, key=key)
    assert reply.status == 200
    return str(received(reply.request_id).json()["cache_salt"])


def test_each_key_has_its_own_cache_and_a_group_has_one(
    gateway_of: Callable[[Any], Gateway], received: Find
) -> None:
    gateway = gateway_of(TEAM_KEYS)
    first = {
        name: salt_of(gateway, received, f"sk-policy-{name}-0123456789")
        for name in ("ann", "ben", "cat", "cat2", "dan")
    }

    assert first["ben"] == first["cat"]
    assert len(set(first.values())) == 4
    for _ in range(4):  # by either worker, and whatever the client says
        asked = salt_of(gateway, received, "sk-policy-ann-0123456789", cache_salt=first["ben"])
        assert asked == first["ann"]


def test_without_isolation_the_body_goes_as_it_came(start_gateway: Any, received: Find) -> None:
    gateway = start_gateway(CACHE_ISOLATION="false")
    raw = b'{ "model" : "m", "cache_salt": "theirs" }'

    reply = gateway.request("POST", CHAT, raw, {"X-API-Key": KEY})

    assert received(reply.request_id).body == raw


def test_a_cap_on_output_is_what_a_request_gets_that_names_none(start_gateway: Any, received: Find) -> None:
    gateway = start_gateway(MAX_OUTPUT_TOKENS="77")

    reply = gateway.post(CHAT, {"model": "m", "max_tokens": None})

    assert received(reply.request_id).json()["max_tokens"] == 77
    assert gateway.post(CHAT, {"model": "m", "max_tokens": 78}).status == 400


def test_a_setting_that_allows_nothing_known_is_refused_at_the_start(start_gateway: Any) -> None:
    with pytest.raises(AssertionError, match="ALLOWED_FIELDS='ignore_eso' is not valid"):
        start_gateway(ALLOWED_FIELDS="ignore_eso")


def test_an_empty_body_gets_its_salt(gateway: Gateway, received: Find) -> None:
    reply = gateway.request("POST", CHAT, b"{ }", {"X-API-Key": KEY})

    assert list(received(reply.request_id).json()) == ["cache_salt"]
