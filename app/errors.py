"""The exceptions that become answers; how they look to a client is in error_body.py.

GatewayError
├── BadRequest 400             malformed framing, Host or request line
│   └── TargetTooLong 414, ExpectationFailed 417, HeadersTooLarge 431
├── AmbiguousCredentials 400   two keys of different names in one request
├── InvalidJson, InvalidField 400   the body, or a field of it, is not what it must be
├── CompactionLoop 400         a prompt that comes back, compacted, and never fits: see overflow.py
├── MissingOrInvalidKey 401
├── InsufficientScope 403
├── RouteNotFound 404          ModelNotFound 404
├── MethodNotAllowed 405
├── RequestTimeout 408         head or body came too slowly
├── RequestTooLarge 413, UnsupportedMediaType 415
├── ReloadFailed 502           the key store cannot be used
├── UpstreamError 502          the upstream's answer is unusable; UpstreamRefused: unreadable
├── Unavailable 503            not now, but soon: see unavailable.py
├── UpstreamTimeout 504
└── BrokenStream               after the head was sent: see broken.py

4xx texts hold no client's value and no digits: OpenCode 1.18 retries what holds "500" or "429"."""

from typing import Any, ClassVar


class GatewayError(Exception):
    """An answer other than success; status, type, code and text are class attributes."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "api_error"
    code: ClassVar[str] = "internal_error"
    message = "The gateway failed to handle this request."

    def __init__(self, message: str | None = None, *, param: str | None = None) -> None:
        self.message = message or self.message
        self.param = param
        super().__init__(self.message)

    def headers(self) -> dict[str, str]:
        """Response headers that belong to this error."""
        return {}

    def details(self) -> dict[str, Any]:
        """Members of the answer beside `error`, for programs."""
        return {}


class InvalidRequest(GatewayError):
    """The client has to change the request; trying again as it is cannot help."""

    status = 400
    type = "invalid_request_error"


class BadRequest(InvalidRequest):
    """The request is not well-formed HTTP."""

    code = "bad_request"
    message = "The request is malformed."


class TargetTooLong(BadRequest):
    """The request line is longer than the gateway reads."""

    status = 414
    message = "The request target is too long."


class ExpectationFailed(BadRequest):
    """An Expect header other than 100-continue."""

    status = 417
    message = "The Expect header is not supported."


class HeadersTooLarge(BadRequest):
    """More or longer header fields than the gateway reads."""

    status = 431
    message = "The request has too many or too long header fields."


class AmbiguousCredentials(InvalidRequest):
    """Two valid keys of different names; nobody can say whose request it is."""

    code = "ambiguous_credentials"
    message = "Two API keys of different names were sent; send one."


class InvalidJson(InvalidRequest):
    """The body is not one strict JSON object in UTF-8."""

    code = "invalid_json"
    message = "The request body must be one valid JSON object in UTF-8."


class InvalidField(InvalidRequest):
    """A field of the body has the wrong type or a value that is refused."""

    code = "invalid_field"
    message = "A field of the request body is not valid."


class CompactionLoop(InvalidRequest):
    """The same prompt was refused for its length again and again; this must not read as one more overflow."""

    code = "compaction_loop"
    message = (
        "This prompt does not fit into the model's window, and compacting the conversation does not help. "
        "Give the model a larger window (MAX_MODEL_LEN), or let `opencode-config` write "
        "a smaller prompt for OpenCode."
    )


class MissingOrInvalidKey(GatewayError):
    """No key, an unknown key, an expired or a disabled key: one wording for all."""

    status = 401
    type = "authentication_error"
    code = "missing_or_invalid_key"
    message = "API key missing or not valid for this gateway."

    def headers(self) -> dict[str, str]:
        """The challenge that RFC 9110 section 11.6.1 asks for, and a word to Claude Code 2.1.

        That one retries a 401 ten times, for some minutes and in silence, unless it is told not to.
        """
        return {"WWW-Authenticate": "Bearer", "X-Should-Retry": "false"}


class InsufficientScope(GatewayError):
    """The key is known but may not do this."""

    status = 403
    type = "permission_error"
    code = "insufficient_scope"
    message = "This API key has no right to do this."


class RouteNotFound(InvalidRequest):
    """The target is not in the route table."""

    status = 404
    code = "route_not_found"
    message = "This route does not exist."


class ModelNotFound(InvalidRequest):
    """The upstream does not list this model."""

    status = 404
    code = "model_not_found"
    message = "This model does not exist."


class MethodNotAllowed(InvalidRequest):
    """The target exists, with other methods."""

    status = 405
    code = "method_not_allowed"
    message = "This route does not take this method."

    def __init__(self, allowed: str) -> None:
        super().__init__()
        self.allowed = allowed

    def headers(self) -> dict[str, str]:
        """The methods that this route takes."""
        return {"Allow": self.allowed}


class RequestTimeout(InvalidRequest):
    """The head or the body of the request came too slowly."""

    status = 408
    code = "request_timeout"
    message = "The request did not arrive in time."


class RequestTooLarge(InvalidRequest):
    """The body is larger than MAX_REQUEST_BYTES."""

    status = 413
    code = "request_too_large"
    message = "The request body is too large."


class UnsupportedMediaType(InvalidRequest):
    """The body is not declared as plain JSON."""

    status = 415
    code = "unsupported_media_type"
    message = "The request body must be application/json without a content encoding."


class ReloadFailed(GatewayError):
    """The key store could not be read or holds no usable set; the old set stays."""

    status = 502
    code = "reload_failed"
    message = "The keys could not be read again; the old set stays in use."

    def __init__(self, message: str | None = None, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self._details = details or {}

    def details(self) -> dict[str, Any]:
        """Which set is in use, and how old it is."""
        return self._details


class UpstreamError(GatewayError):
    """The upstream answered something that cannot be passed on."""

    status = 502
    code = "upstream_error"
    message = "The model server gave no usable answer."


class UpstreamRefused(InvalidRequest):
    """The upstream refused the request in a way that clients cannot read; its own status is kept."""

    code = "upstream_error"
    message = "The model server refused the request."


class UpstreamTimeout(GatewayError):
    """The upstream sent no first byte in time."""

    status = 504
    type = "timeout_error"
    code = "upstream_timeout"
    message = "The model server did not answer in time."
