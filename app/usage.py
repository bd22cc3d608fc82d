"""Token usage, read beside the bytes: from an event or from the tail of a JSON answer."""

import json
from typing import Any

import msgspec

TAIL_BYTES = 16 * 1024  # usage stands behind the choices, near the end of an answer
MARK = b'"usage"'


class Usage(msgspec.Struct, frozen=True):
    """Token counts as the upstream gave them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


def usage_of(answer: dict[str, Any]) -> Usage | None:
    """The usage in one decoded event or body, whichever API it belongs to; None without one.

    Responses events nest it in `response`, Messages events in `message`.
    """
    for holder in (answer, answer.get("response"), answer.get("message")):
        usage = holder.get("usage") if isinstance(holder, dict) else None
        if isinstance(usage, dict):
            return _read(usage)
    return None


def _read(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens", usage.get("input_tokens"))),
        completion_tokens=_count(usage.get("completion_tokens", usage.get("output_tokens"))),
        cached_tokens=_count(cached or usage.get("cache_read_input_tokens")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def merge(earlier: Usage | None, later: Usage) -> Usage:
    """Messages streams tell the prompt first and the completion last; the larger count holds."""
    if earlier is None:
        return later
    return Usage(
        max(earlier.prompt_tokens, later.prompt_tokens),
        max(earlier.completion_tokens, later.completion_tokens),
        max(earlier.cached_tokens, later.cached_tokens),
    )


class UsageTail:
    """Keeps the end of a JSON body that passes by, and finds its usage there."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """Remember the last bytes seen."""
        self._tail = (self._tail + data)[-TAIL_BYTES:] if len(data) < TAIL_BYTES else data[-TAIL_BYTES:]

    def usage(self) -> Usage | None:
        """The last usage object in the tail, if a whole one stands there."""
        start = self._tail.rfind(MARK)
        if start < 0:
            return None
        text = self._tail[start + len(MARK) :].lstrip()
        try:
            value, _ = json.JSONDecoder().raw_decode(text.removeprefix(b":").lstrip().decode())
        except (ValueError, RecursionError):
            return None
        return usage_of({"usage": value})
