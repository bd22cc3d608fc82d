"""Which header fields cross the gateway, each way."""

import hmac
import re
from collections.abc import Iterable

from werkzeug.datastructures import Headers

from app.trace_context import TraceContext

SENDABLE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
VISIBLE = re.compile(r"[\x20-\x7e]*")
PASSED_UP = ("Accept", "anthropic-version", "anthropic-beta")
# What clients read: what the body is, how long it holds, when to come back, what is left of a limit.
# Anything else would tell about the host behind us, carry one client's state to another, or speak for us.
PASSED_DOWN = re.compile(
    r"content-(?:type|encoding|language|disposition)"
    r"|cache-control|expires|age|etag|last-modified|vary|warning"
    r"|retry-after(?:-ms)?|x-should-retry|endpoint-load-metrics"
    r"|(?:x-ratelimit|openai|anthropic)-(?!organization|project)[a-z0-9-]+",
    re.IGNORECASE,
)
UNBUFFERED = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
SAFE_TYPE = {"X-Content-Type-Options": "nosniff"}
OURS = {"Cache-Control": "no-store", **SAFE_TYPE}  # on every answer that the gateway itself makes


def to_upstream(
    client: Headers, request_id: str, key_secret: bytes, trace: TraceContext | None, *, has_body: bool
) -> dict[str, str]:
    """The few fields that the upstream may see; never a credential, a cookie or the client's id.

    `trace` is the span that the upstream's work is a part of.
    vLLM keys cached state by X-Session-ID; hashed with the API key's own secret, the sessions of
    two keys never meet.
    """
    passed = {name: client[name] for name in PASSED_UP if VISIBLE.fullmatch(client.get(name, "\n"))}
    if trace is not None:
        passed.update(trace.fields())
    if session := client.get("X-Session-ID"):
        passed["X-Session-ID"] = hmac.digest(key_secret, session.encode(), "sha256").hex()
    if has_body:
        passed["Content-Type"] = "application/json"
    passed["X-Request-Id"] = request_id
    return passed


def id_fields(request_id: str, *, anthropic: bool) -> dict[str, str]:
    """The request's id as clients look for it; Anthropic's SDK has its own name for it."""
    return {"X-Request-Id": request_id, **({"request-id": request_id} if anthropic else {})}


def to_client(upstream: Iterable[tuple[str, str]], *, is_stream: bool) -> list[tuple[str, str]]:
    """The upstream's fields that clients read, less those named in Connection."""
    fields = list(upstream)
    named = {
        token.strip().lower()
        for name, value in fields
        if name.lower() == "connection"
        for token in value.split(",")
    }
    dropped = named | ({"cache-control"} if is_stream else set())
    kept = [
        (name, value)
        for name, value in fields
        if PASSED_DOWN.fullmatch(name) and name.lower() not in dropped and SENDABLE.fullmatch(value)
    ]
    return [*kept, *SAFE_TYPE.items(), *(UNBUFFERED.items() if is_stream else ())]
