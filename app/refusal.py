"""What the upstream may answer: success as it is, an error made readable, nothing else."""

import re

from flask import Response, g

from app import headers
from app.answer import Answer
from app.error_body import render_error
from app.errors import UpstreamError, UpstreamRefused
from app.routes import Api
from app.strict_json import StrictJsonError, decode_upstream
from app.unavailable import Unavailable

MAX_ERROR_BYTES = 64 * 1024
DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)
PASSED = frozenset(("retry-after", "retry-after-ms", "x-should-retry"))


def check_usable(answer: Answer, *, is_stream: bool) -> None:
    """Raises UpstreamError for what is no success, or no readable stream where one was asked for."""
    is_readable = answer.is_event_stream and answer.header("content-encoding").lower() in ("", "identity")
    if not 200 <= answer.status < 300 or (is_stream and not is_readable):
        raise UpstreamError


def refusal_of_upstream(answer: Answer) -> Response:
    """An error of the upstream: its own body where clients can read it, else in our shape.

    Raises UpstreamError for 401 and 403, which only say that the gateway is not set up.
    """
    status = answer.status
    try:
        raw = answer.read(MAX_ERROR_BYTES)
    except UpstreamError:
        raw = b""
    if status in (401, 403):
        raise UpstreamError
    raw = readable_error(raw, status)
    response = Response(raw, status=status, content_type="application/json")
    for name, value in headers.to_client(answer.headers, is_stream=False):
        if name.lower() in PASSED:
            response.headers[name] = value
    if status == 503:
        response.headers.update(come_back(response.headers.get("Retry-After", "")))
    g.record.outcome = "upstream_refused"
    return response


def readable_error(raw: bytes, status: int) -> bytes:
    """The body as it is, unless clients could not read it.

    FastAPI's `{"detail"}`, a plain `{"error": "text"}` and what is no JSON become our own shape.
    """
    try:
        content = decode_upstream(raw)
    except StrictJsonError:
        content = {"error": UpstreamRefused.message}
    told = content.get("error", content.get("detail")) if isinstance(content, dict) else None
    is_plain = isinstance(content, dict) and ("detail" in content or isinstance(told, str))
    if not is_plain or isinstance(content.get("error"), dict):
        return raw
    kind = UpstreamRefused if status < 500 else UpstreamError
    error = kind(told if isinstance(told, str) else UpstreamRefused.message)
    return render_error(error, anthropic=g.route.api is Api.MESSAGES)


def come_back(retry_after: str) -> dict[str, str]:
    """The upstream's own Retry-After within the bounds of ours, or ours."""
    busy = Unavailable()
    if DIGITS.fullmatch(retry_after):
        busy.retry_after = int(retry_after)
    return busy.headers()
