"""Token usage, read beside the bytes: from an event, or from a JSON answer that passes by."""

import json
import re
from typing import Any

import msgspec

MAX_USAGE_BYTES = 16 * 1024
MAX_TOKENS = 2**31 - 1  # of one answer: what is more, or less than none, would spoil every sum
# Behind a colon and before an object: a token of a log probability may be called "usage" too.
MARK = re.compile(rb'"usage"\s{0,8}:\s{0,8}\{')
MARK_BYTES = 32  # more than the longest mark
DECODER = json.JSONDecoder()


class Usage(msgspec.Struct, frozen=True):
    """Token counts as the upstream gave them; partial ones were counted on the way, up to a broken end."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    is_partial: bool = False


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
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MAX_TOKENS else 0


def merge(earlier: Usage | None, later: Usage, *, is_partial: bool = False) -> Usage:
    """Messages streams tell the prompt first and the completion last; the larger count holds."""
    earlier = earlier or Usage()
    return Usage(
        max(earlier.prompt_tokens, later.prompt_tokens),
        max(earlier.completion_tokens, later.completion_tokens),
        max(earlier.cached_tokens, later.cached_tokens),
        is_partial,
    )


class UsageTail:
    """Finds the usage in a JSON body that passes by, without parsing the rest of it."""

    def __init__(self) -> None:
        self._last = b""  # where a mark may have begun
        self._found = b""  # from the last mark on

    def feed(self, data: bytes) -> None:
        """Remember what follows the last mark."""
        window = self._last + data
        marks = [match.start() for match in MARK.finditer(window)]
        if marks:
            self._found = window[marks[-1] :][:MAX_USAGE_BYTES]
        elif self._found:
            self._found += data[: MAX_USAGE_BYTES - len(self._found)]
        self._last = window[-MARK_BYTES:]

    def usage(self) -> Usage | None:
        """The last usage object, if a whole one has come."""
        start = self._found.find(b"{")
        try:
            value, _ = DECODER.raw_decode(self._found[start:].decode(errors="replace"))
        except (ValueError, RecursionError):
            return None
        return usage_of({"usage": value})
