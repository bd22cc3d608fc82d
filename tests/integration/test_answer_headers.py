"""Which header fields of the upstream's answer reach the client."""

import json
from typing import Any

import pytest

from tests.client import KEY, RawClient
from tests.gateway import Gateway
from tests.oracle import END_MARKS, asked

CHAT = "/v1/chat/completions"
SECRET = "behind-the-gateway"
STAY_BEHIND = (
    "Alt-Svc", "Keep-Alive", "Location", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
    "Server", "Set-Cookie", "Set-Cookie2", "TE", "Trailer", "Trailers", "Upgrade", "Via", "X-Powered-By",
    "X-Process-Time", "X-Request-Id", "Date", "X-Unknown", "Link", "Refresh", "Access-Control-Allow-Origin",
    "Strict-Transport-Security", "Content-Security-Policy", "X-Content-Type-Options", "WWW-Authenticate",
    "Server-Timing", "traceparent", "X-Accel-Redirect", "X-Sendfile", "X-Accel-Buffering", "Status",
    "openai-organization", "openai-project", "anthropic-organization-id", "X-RateLimit_Odd", "Allow",
    "Content-Location", "Content-MD5", "X-API-Key", "Authorization", "Clear-Site-Data", "Set_Cookie",
    "Request-Id",
)  # fmt: skip
PASS = {
    "X-RateLimit-Limit-Requests": "60",
    "x-ratelimit-remaining-tokens": "149984",
    "OpenAI-Processing-Ms": "12",
    "Retry-After": "3",
    "retry-after-ms": "2500",
    "x-should-retry": "false",
    "openai-model": "a, b;c=\"d\"",
    "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:00Z",
    "endpoint-load-metrics": "JSON {\"named_metrics\": {}}",
    "Content-Language": "fr",
    "Content-Disposition": "inline",
    "Expires": "0",
    "Age": "7",
    "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    "Vary": "Accept",
    "Warning": "199 - \"slow\"",
    "ETag": 'W/"1"',
}  # fmt: skip


def heads(gateway: Gateway, stream: bool, **headers: str) -> RawClient:
    """The client of an answer to which the upstream has added these fields."""
    with gateway.connect() as client:
        client.send_request("POST", CHAT, asked(stream, headers=headers))
        assert client.read_head() == 200
        client.read_body()
        assert client.is_whole
        return client


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", STAY_BEHIND)
def test_what_is_of_the_hop_or_of_the_host_stays_behind(gateway: Gateway, name: str, stream: bool) -> None:
    client = heads(gateway, stream, **{name: SECRET})

    assert SECRET not in " ".join(client.headers.values())


@pytest.mark.parametrize("stream", [True, False])
def test_what_connection_names_stays_behind(gateway: Gateway, stream: bool) -> None:
    client = heads(gateway, stream, **{"Connection": "keep-alive, X-Named", "X-Named": SECRET})

    assert "x-named" not in client.headers
    assert client.headers["connection"] == "keep-alive"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", PASS)
def test_what_is_for_the_client_passes(gateway: Gateway, name: str, stream: bool) -> None:
    client = heads(gateway, stream, **{name: PASS[name]})

    assert client.headers[name.lower()] == PASS[name]


@pytest.mark.parametrize(
    ("stream", "content_type"),
    [(True, "text/event-stream; charset=utf-8"), (False, "application/json"), (False, "text/plain; x=y")],
)
def test_the_content_type_passes_as_it_is(gateway: Gateway, stream: bool, content_type: str) -> None:
    client = heads(gateway, stream, **{"content-type": content_type})

    assert client.headers["content-type"] == content_type


@pytest.mark.parametrize("target", END_MARKS)
def test_an_event_stream_is_marked_as_not_to_be_buffered(gateway: Gateway, target: str) -> None:
    body = asked(True, headers={"cache-control": "max-age=60"})

    reply = gateway.post(target, body)

    assert reply.headers["cache-control"] == "no-cache, no-transform"
    assert reply.headers["x-accel-buffering"] == "no"


def test_a_plain_answer_keeps_its_own_cache_control(gateway: Gateway) -> None:
    client = heads(gateway, False, **{"cache-control": "private"})

    assert client.headers["cache-control"] == "private"
    assert "x-accel-buffering" not in client.headers


@pytest.mark.parametrize("value", ["a\x01b", "a\x7fb", "a\x00b"])
def test_a_header_that_may_not_be_sent_is_left_out(gateway: Gateway, value: str) -> None:
    reply = gateway.chat(fake={"headers": {"openai-odd": value, "openai-even": "ab"}})

    assert reply.status == 200
    assert "openai-odd" not in reply.headers
    assert reply.headers["openai-even"] == "ab"


@pytest.mark.parametrize("fold", ["\r\n ", "\r\n\t"])
def test_a_folded_field_is_one_line_for_the_client(gateway: Gateway, fold: str) -> None:
    reply = gateway.chat(fake={"headers": {"openai-odd": f"a{fold}set-cookie: b"}})

    assert reply.status == 200
    assert reply.headers["openai-odd"].split() == ["a", "set-cookie:", "b"]
    assert "set-cookie" not in reply.headers


def test_a_cookie_of_the_upstream_is_never_sent_back(gateway: Gateway, received: Any) -> None:
    with gateway.connect() as client:
        for number in range(3):
            body = asked(False, headers={"set-cookie": f"session={number}; Path=/"})
            client.send_request("POST", CHAT, body)
            client.read_head()
            client.read_body()

            assert "cookie" not in dict(received(client.request_id).headers)


@pytest.mark.parametrize("stream", [True, False])
def test_a_relayed_answer_is_taken_for_nothing_but_what_it_says(gateway: Gateway, stream: bool) -> None:
    client = heads(gateway, stream)

    assert client.headers["x-content-type-options"] == "nosniff"
    assert stream or "cache-control" not in client.headers


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/v1/models", 200),
        ("GET", "/v1/models/plain-alias", 200),
        ("GET", "/v1/models/no-such-model", 404),
        ("GET", "/health/live", 200),
        ("GET", "/health/startup", 200),
        ("POST", "/admin/reload-keys", 200),
        ("GET", "/admin/status", 403),
        ("GET", "/nothing", 404),
        ("PUT", "/v1/models", 405),
        ("POST", CHAT, 415),
    ],
)
def test_what_the_gateway_says_itself_is_kept_by_nobody(
    gateway: Gateway, method: str, target: str, status: int
) -> None:
    reply = gateway.request(method, target, headers={"X-API-Key": KEY})

    assert reply.status == status
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "server" not in reply.headers


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_an_error_of_the_upstream_is_kept_by_nobody_either(gateway: Gateway, status: int) -> None:
    script = {"status": status, "body": '{"error":{"message":"m"}}', "headers": {"cache-control": "public"}}

    reply = gateway.chat(fake=script)

    assert (reply.status, reply.headers["cache-control"]) == (status, "no-store")
    assert reply.headers["x-content-type-options"] == "nosniff"


ON_MESSAGES = {
    "relayed": (b"POST /v1/messages", b"application/json", 200),
    "counted": (b"POST /v1/messages/count_tokens", b"application/json", 200),
    "refused": (b"POST /v1/messages", b"text/plain", 415),
    "wrong method": (b"PUT /v1/messages", b"application/json", 405),
    "malformed": (b"POST /v1/messages", b"a\x00b", 400),
}


@pytest.mark.parametrize(("asks", "media_type", "status"), ON_MESSAGES.values(), ids=ON_MESSAGES)
def test_anthropics_sdk_finds_the_id_under_its_own_name(
    gateway: Gateway, asks: bytes, media_type: bytes, status: int
) -> None:
    body = json.dumps(
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}
    ).encode()
    fields = b"Host: g\r\nX-API-Key: %b\r\nContent-Type: %b\r\n" % (KEY.encode(), media_type)
    with gateway.connect() as client:
        client.sock.sendall(
            b"%b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (asks, fields, len(body), body)
        )

        assert client.read_head() == status
        assert client.headers["request-id"] == client.request_id


@pytest.mark.parametrize("target", ["/v1/models", "/health/live", "/nothing", "/v1/messages/nothing"])
def test_others_are_told_the_id_once(gateway: Gateway, target: str) -> None:
    assert "request-id" not in gateway.request("GET", target, headers={"X-API-Key": KEY}).headers
