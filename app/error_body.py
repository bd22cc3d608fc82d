"""What an error looks like in each API, and the one place that renders it."""

from typing import Any

import msgspec

from app.errors import GatewayError

ANTHROPIC_TYPES: dict[int | str, str] = {  # by status, then by type; other types are the same in both
    404: "not_found_error",
    413: "request_too_large",
    "server_error": "api_error",
}


def error_body(error: GatewayError, *, anthropic: bool = False) -> dict[str, Any]:
    """The error as OpenAI's clients read it, or as Anthropic's do."""
    if anthropic:
        named = ANTHROPIC_TYPES.get(error.type, error.type)
        kind = ANTHROPIC_TYPES.get(error.status, named)
        return {"type": "error", "error": {"type": kind, "message": error.message}}
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        },
        **error.details(),
    }


def render_error(error: GatewayError, *, anthropic: bool = False) -> bytes:
    """The error's body as JSON bytes."""
    return msgspec.json.encode(error_body(error, anthropic=anthropic))
