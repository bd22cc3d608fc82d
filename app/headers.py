"""Which header fields cross the gateway, each way."""

import hmac
import re
from collections.abc import Iterable

from werkzeug.datastructures import Headers
from werkzeug.http import is_hop_by_hop_header

TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
SENDABLE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
VISIBLE = re.compile(r"[\x20-\x7e]*")
PASSED_UP = ("Accept", "anthropic-version", "anthropic-beta")
# gunicorn and the relay write these themselves; the others would tell about the host behind us
# or carry one client's state to another.
NOT_PASSED_DOWN = frozenset(
    (
        "alt-svc",
        "content-length",
        "date",
        "location",
        "proxy-connection",
        "server",
        "set-cookie",
        "set-cookie2",
        "via",
        "x-powered-by",
        "x-process-time",
        "x-request-id",
    )
)
UNBUFFERED = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


def to_upstream(client: Headers, request_id: str, key_secret: bytes, *, has_body: bool) -> dict[str, str]:
    """The few fields that the upstream may see; never a credential, a cookie or the client's id.

    vLLM keys cached state by X-Session-ID; hashed with the API key's own secret, the sessions of
    two keys never meet.
    """
    passed = {name: client[name] for name in PASSED_UP if VISIBLE.fullmatch(client.get(name, "\n"))}
    if TRACEPARENT.fullmatch(client.get("traceparent", "")):
        passed["traceparent"] = client["traceparent"]
    if session := client.get("X-Session-ID"):
        passed["X-Session-ID"] = hmac.digest(key_secret, session.encode(), "sha256").hex()
    if has_body:
        passed["Content-Type"] = "application/json"
    passed["X-Request-Id"] = request_id
    return passed


def to_client(upstream: Iterable[tuple[str, str]], *, is_stream: bool) -> list[tuple[str, str]]:
    """The upstream's fields less hop-by-hop ones, those named in Connection, and the host's own."""
    fields = list(upstream)
    named = {
        token.strip().lower()
        for name, value in fields
        if name.lower() == "connection"
        for token in value.split(",")
    }
    dropped = named | NOT_PASSED_DOWN | ({"cache-control"} if is_stream else set())
    kept = [
        (name, value)
        for name, value in fields
        if name.lower() not in dropped
        and not is_hop_by_hop_header(name)
        and TOKEN.fullmatch(name)
        and SENDABLE.fullmatch(value)
    ]
    return kept + (list(UNBUFFERED.items()) if is_stream else [])
