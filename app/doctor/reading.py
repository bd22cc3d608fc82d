"""What an answer says: JSON where it is some, and what is wrong where no answer of the gateway came."""

import re
from typing import Any

from urllib3.exceptions import ReadTimeoutError

from app.doctor.asking import Reply, TooLarge
from app.doctor.finding import Finding, trouble
from app.strict_json import StrictJsonError, decode_upstream

HTML = ("text/html", "application/xhtml+xml")
GATEWAY_TIMEOUTS = (408, 504, 524)  # 524: Cloudflare's
OWN_CODES = {
    "missing_or_invalid_key": "key_refused",
    "insufficient_scope": "key_scope",
    "ambiguous_credentials": "ambiguous",
    "draining": "draining",
    "keys_unavailable": "keys_not_loaded",
    "upstream_unavailable": "upstream_down",
}
# In the text of any error, OpenCode 1.18 takes these for a fault that passes, and asks five times more.
RETRIED = re.compile(
    r"429|50[0-4]|524|rate.?limit|too many requests|overloaded|service unavailable|internal error"
    r"|server error|provider returned error|terminated|fetch failed|network error"
    r"|connection (?:error|refused|lost)|socket hang up|getaddrinfo|enotfound|econnre|etimedout"
    r"|timed out|resource exhausted"
    r"|try (?:your request )?again|retry your request|temporarily at capacity",
    re.IGNORECASE,
)


def read_json(data: bytes) -> Any:
    """The JSON value, or None for what is none."""
    try:
        return decode_upstream(data)
    except StrictJsonError:
        return None


def dig(value: Any, *path: str | int) -> Any:
    """What stands at the end of a path of names and numbers; None where it leads nowhere."""
    for step in path:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def dig_text(value: Any, *path: str | int) -> str:
    """The text at the end of a path; an empty one where there is none."""
    found = dig(value, *path)
    return found if isinstance(found, str) else ""


def error_of(reply: Reply) -> tuple[str, str]:
    """The code and the message of an error in OpenAI's shape; empty texts where it has another.

    vLLM's own codes are numbers, and no codes of the gateway.
    """
    content = read_json(reply.body)
    return dig_text(content, "error", "code"), dig_text(content, "error", "message")


def describe_kind(reply: Reply) -> str:
    """What sort of answer it is, in a word or two."""
    if reply.kind in HTML:
        return "a web page"
    if not reply.pieces:
        return "empty"
    if reply.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        return "compressed"
    if read_json(reply.body) is not None:
        return "JSON of another shape"
    return "no JSON"


def is_of_iam(reply: Reply) -> bool:
    """Whether Cloud Run's own check of identity tokens has refused the request.

    It is a page of Google's front end. The challenge alone would do, had no other server the same.
    """
    challenge = reply.headers.get("www-authenticate", "").lower()
    is_google = (
        "google" in reply.headers.get("server", "").lower() or b"does not have permission" in reply.body
    )
    return reply.status in (401, 403) and reply.kind in HTML and (is_google or "bearer" in challenge)


def explain(reply: Reply, message: str = "") -> Finding:
    """Why an answer other than the one expected came; `message` is the error's own, fit to be shown."""
    code, _ = error_of(reply)
    own = OWN_CODES.get(code, "")
    cases = (
        ("redirect", 300 <= reply.status < 400),
        ("too_large", isinstance(reply.failure, TooLarge)),
        ("iam", is_of_iam(reply)),
        (own, bool(own)),
        ("front_timeout", reply.status in GATEWAY_TIMEOUTS and not message),
        ("front_alone", reply.status in (502, 503) and not message),
        ("front_refuses", reply.status in (401, 403, 407)),
        ("stalled", is_stalled(reply)),
        ("cut", reply.failure is not None),
        ("unavailable", bool(message) and reply.status >= 500),
        ("request_refused", bool(message) and reply.status >= 400),
    )
    found = next((name for name, holds in cases if holds), "unexpected")
    seen = {"status": reply.status, "kind": describe_kind(reply)}
    return trouble(found, message=message, target=message or "nowhere", **seen)


def is_stalled(reply: Reply) -> bool:
    """Whether the answer began, and then nothing more came in time."""
    return isinstance(reply.failure, TimeoutError | ReadTimeoutError)
