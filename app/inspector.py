"""What the gateway looks at while an answer passes, and changes where it must."""

import json
import re
from typing import Any

import msgspec

from app.broken import UpstreamLost
from app.errors import GatewayError
from app.sse import EventBuffer, data_of, split_events
from app.usage import Usage, UsageTail, merge, usage_of

BROKEN_END = re.compile(rb'"finish_reason"\s{0,8}:\s{0,8}"(?:abort|error)"')
REPETITION = re.compile(rb'("finish_reason"\s{0,8}:\s{0,8})"repetition"')
HELD_BYTES = 64  # more than the longest match of either


class Inspector:
    """Looks at an answer on its way through; this one lets every byte pass at once.

    After each call `failure` tells whether the answer turned out to be broken: then what the call
    returned is the last that may be forwarded.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.failure: GatewayError | None = None
        self.has_told_failure = False  # the upstream's own error event has been forwarded
        self._tail = UsageTail()

    def feed(self, data: bytes) -> bytes:
        """The bytes to forward for these bytes of the body."""
        self._tail.feed(data)
        return data

    def end(self) -> bytes:
        """The body is whole by its framing; the last bytes to forward."""
        self.usage = self._tail.usage()
        return b""

    def failure_event(self, _error: GatewayError) -> bytes:
        """What a client is told in the body when the answer breaks off."""
        return b""

    def account(self) -> Usage | None:
        """What the answer used up: as the upstream said, or as far as it was streamed.

        A client that leaves when all of it has come here changes nothing of that.
        """
        return self.usage


class CompletionInspector(Inspector):
    """A chat or text completion that is not streamed: the end of each choice has to be one of OpenAI's.

    `repetition`, which vLLM 0.32 knows and clients do not, becomes `length`, padded with spaces: the
    declared length of the body stays true.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """All but the last bytes, where an end may stand that has not come wholly."""
        self._tail.feed(data)
        text = REPETITION.sub(rb'\1"length"    ', self._held + data)
        broken = BROKEN_END.search(text)
        if broken is not None:
            self.failure = UpstreamLost()
            return text[: broken.start()]
        self._held = text[-HELD_BYTES:]
        return text[:-HELD_BYTES]

    def end(self) -> bytes:
        """The rest."""
        super().end()
        return self._held


class EventInspector(Inspector):
    """An event stream: holds back unfinished events, and knows when the stream is whole.

    Its tokens are counted as it passes, an event for a token, in case it ends before it tells its usage:
    each event with generated text holds `token_mark` once.
    """

    token_mark: bytes

    def __init__(self) -> None:
        super().__init__()
        self._buffer = EventBuffer()
        self._is_whole = False
        self._streamed_tokens = 0

    def feed(self, data: bytes) -> bytes:
        """The whole events that have come."""
        block = self._buffer.feed(data)
        if self._is_ordinary(block):
            return block
        self._streamed_tokens += self._count_tokens(block)
        return self._pass(block) if self._must_look(block) else block

    def account(self) -> Usage | None:
        """What the upstream told, where the stream is whole; else what was streamed, marked as partial."""
        if self._is_whole and self.usage is not None:
            return self.usage
        if self.usage is None and not self._streamed_tokens:
            return None
        return merge(self.usage, Usage(completion_tokens=self._streamed_tokens), is_partial=True)

    def _is_ordinary(self, _block: bytes) -> bool:
        """Whether a first look tells that the block is one like most; then its tokens have been counted."""
        return False

    def _count_tokens(self, block: bytes) -> int:
        return block.count(self.token_mark)

    def end(self) -> bytes:
        """Nothing more: an event that was not finished is none, and a stream that ends with it is broken."""
        if self.failure is None and (not self._is_whole or self._buffer.is_holding):
            self.failure = UpstreamLost()
        return b""

    def failure_event(self, error: GatewayError) -> bytes:
        """An error event that stands alone, also after an event that was cut in the middle."""
        if self.has_told_failure:
            return b""
        lead = b"\n\n" if self._buffer.is_mid_event else b""
        return lead + self._render_failure(error)

    def _render_failure(self, error: GatewayError) -> bytes:
        raise NotImplementedError

    def _pass(self, block: bytes) -> bytes:
        passed: list[bytes] = []
        for event in split_events(block):
            kept = self._inspect(event) if self._must_look(event) else event
            if kept:
                passed.append(kept)
            if self.failure is not None:
                break
        return b"".join(passed)

    def _must_look(self, block: bytes) -> bool:
        """Whether the block may hold an event that matters; the others pass unread."""
        raise NotImplementedError

    def _inspect(self, event: bytes) -> bytes:
        content = _decode(data_of(event))
        if content is None:
            return event
        usage = usage_of(content)
        if usage is not None:
            self.usage = merge(self.usage, usage)
        return self._judge(content, event)

    def _judge(self, content: dict[str, Any], event: bytes) -> bytes:
        """Note what the event says about the stream's end; the bytes to forward for it."""
        raise NotImplementedError

    def _told(self, event: bytes) -> bytes:
        """The upstream reported its failure itself: pass that on, and nothing after it."""
        self.failure = UpstreamLost()
        self.has_told_failure = True
        return event


def _decode(data: bytes) -> dict[str, Any] | None:
    try:
        content = msgspec.json.decode(data)
    except (ValueError, RecursionError):  # the one is stricter, as about half of a surrogate pair
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):
            return None
    return content if isinstance(content, dict) else None
