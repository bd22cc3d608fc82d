"""Cross-origin answers (CORS, of WHATWG's Fetch standard): which pages may call this gateway from a browser.

A page's script may only read what says that its origin may. Keys travel in headers and never in cookies, so
nothing here allows credentials. What only an operator may call stays closed: no page but the gateway's own
has a reason to show it, and a script that runs in an operator's browser shall not be able to.
"""

import re

from flask import Response
from werkzeug.datastructures import Headers

from app.current import this_g, this_request
from app.errors import MethodNotAllowed
from app.origins import EVERY_ORIGIN
from app.routes import is_for_operators, known_path

MAX_AGE_SECONDS = 7200  # the most that Chromium keeps
MAX_NAMES = 64
# What clients in browsers send: credentials, content, OpenAI's and Anthropic's SDKs, ids and traces.
NAMES = re.compile(
    r"authorization|content-type|accept|accept-language|user-agent|idempotency-key|traceparent|tracestate"
    r"|x-api-key|x-request-id|x-session-id|x-title|http-referer"
    r"|(?:x-stainless|anthropic|openai)-[a-z0-9-]{1,60}"
)
EXPOSED = "X-Request-Id, request-id, Retry-After, retry-after-ms, x-should-retry"  # what SDKs read
ON_PREFLIGHTS = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class Cors:
    """Answers for pages of these origins, each as browsers write it, or of every one."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._is_for_all = EVERY_ORIGIN in origins
        self._origins = origins

    def add_fields(self, response: Response) -> Response:
        """Let the page that asks read this answer, if it may; also an error, and one that is relayed."""
        environ = this_request().environ
        if not is_for_operators(environ["RAW_URI"]):
            headers = response.headers
            if self._allow(headers, environ.get("HTTP_ORIGIN")):
                headers["Access-Control-Expose-Headers"] = EXPOSED
            headers.add("Vary", "Origin")
        return response

    def find_preflight(self, refusal: MethodNotAllowed) -> Response | None:
        """The answer to the question whether a request may be sent, which browsers ask without a key.

        None where it is no such question, or not from a page that may ask.
        """
        current = this_request()
        environ, origin = current.environ, current.environ.get("HTTP_ORIGIN")
        is_question = current.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        if not is_question or is_for_operators(environ["RAW_URI"]) or not self._may(origin):
            return None
        this_g().record.route = known_path(environ["RAW_URI"])
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = refusal.allowed
        response.headers["Access-Control-Max-Age"] = str(MAX_AGE_SECONDS)
        response.headers["Vary"] = ON_PREFLIGHTS
        if names := allowed_names(environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")):
            response.headers["Access-Control-Allow-Headers"] = names
        del response.headers["Content-Type"]
        return response

    def _may(self, origin: str | None) -> bool:
        return origin is not None and (self._is_for_all or origin in self._origins)

    def _allow(self, headers: Headers, origin: str | None) -> bool:
        if origin is None or not self._may(origin):
            return False
        headers["Access-Control-Allow-Origin"] = EVERY_ORIGIN if self._is_for_all else origin
        return True


def allowed_names(wanted: str) -> str:
    """Of the header names that a page wants to send, those that it may, as one field's value.

    A browser does not send the request when one of its names is not among them.
    """
    names = [name.strip().lower() for name in wanted.split(",", MAX_NAMES)[:MAX_NAMES]]
    return ", ".join(dict.fromkeys(name for name in names if NAMES.fullmatch(name)))
