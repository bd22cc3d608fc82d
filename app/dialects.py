"""What the bytes of a whole answer look like in each API, and what a broken one is told.

A dialect sees every event before the client does. It changes nothing but what it must: the usage
event that the gateway asked for and the client did not, and an unknown end of a choice.
"""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from app.broken import UpstreamLost
from app.error_body import render_error
from app.errors import GatewayError
from app.inspector import REPETITION, CompletionInspector, Inspector
from app.routes import Api
from app.sse import EventBuffer, data_of, split_events
from app.usage import Usage, merge, usage_of

KNOWN_ENDS = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))
DONE = b"[DONE]"
MARKS = (b'"usage"', b'"error"')


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
        self._streamed_tokens += self._count_tokens(block)
        return self._pass(block) if self._must_look(block) else block

    def account(self, *, is_whole: bool) -> Usage | None:
        """What the upstream told, where the stream is whole; else what was streamed, marked as partial."""
        if is_whole and self.usage is not None:
            return self.usage
        if self.usage is None and not self._streamed_tokens:
            return None
        return merge(self.usage, Usage(completion_tokens=self._streamed_tokens), is_partial=True)

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
            kept = self._inspect(event)
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


class ChatInspector(EventInspector):
    """Chat completions: each choice ends with a known finish_reason, then `[DONE]`."""

    token_mark = b'"delta"'

    def __init__(self, *, choices: int, drop_usage: bool) -> None:
        super().__init__()
        self._choices = choices
        self._ended: set[int] = set()
        self._drop_usage = drop_usage

    def _count_tokens(self, block: bytes) -> int:
        # A choice's first event is empty.
        return block.count(self.token_mark) - block.count(b'"role"')

    def _must_look(self, block: bytes) -> bool:
        # vLLM writes `"finish_reason":null` in every event but a choice's last; JSON text in a
        # string has its quotes escaped, so none of these marks can come from generated text.
        ends = block.count(b'"finish_reason"') - block.count(b'"finish_reason":null')
        return ends > 0 or b'"usage"' in block or DONE in block or b'"error"' in block

    def _render_failure(self, error: GatewayError) -> bytes:
        return b"data: " + render_error(error) + b"\n\n"

    def _inspect(self, event: bytes) -> bytes:
        if data_of(event).strip() != DONE:
            return super()._inspect(event)
        if len(self._ended) < self._choices:
            self.failure = UpstreamLost()
            return b""
        self._is_whole = True
        return event

    def _judge(self, content: dict[str, Any], event: bytes) -> bytes:
        choices = content.get("choices")
        if content.get("error") and not choices:
            return self._told(event)
        if not choices:
            is_usage = choices == [] and isinstance(content.get("usage"), dict)
            return b"" if is_usage and self._drop_usage else event
        for choice in choices if isinstance(choices, list) else ():
            event = self._end_choice(choice, event)
        return event

    def _end_choice(self, choice: Any, event: bytes) -> bytes:
        reason = choice.get("finish_reason") if isinstance(choice, dict) else None
        if reason is None:
            return event
        if reason == "repetition":
            # vLLM 0.32 knows it, clients do not: OpenCode asks again for ever on unknown reasons.
            event = REPETITION.sub(rb'\1"length"', event)
        elif not isinstance(reason, str) or reason not in KNOWN_ENDS:
            self.failure = UpstreamLost()
            return b""
        index = choice.get("index", 0)
        self._ended.add(index if isinstance(index, int) else 0)
        return event


class TextInspector(ChatInspector):
    """Text completions: the same in all but where the text stands."""

    token_mark = b'"text"'


class TypedInspector(EventInspector):
    """A stream whose events name their type, and whose last event is of one of the types `ends`."""

    ends: frozenset[str]
    marks: tuple[bytes, ...]

    def __init_subclass__(cls) -> None:
        """Spell the marks once, not for each block."""
        cls.marks = (*MARKS, *(end.encode() for end in cls.ends))

    def _must_look(self, block: bytes) -> bool:
        return any(mark in block for mark in self.marks)

    def _judge(self, content: dict[str, Any], event: bytes) -> bytes:
        kind = content.get("type")
        if kind == "error" or (kind is None and content.get("error")):
            return self._told(event)
        self._is_whole = self._is_whole or (isinstance(kind, str) and kind in self.ends)
        return event

    def _render_failure(self, error: GatewayError) -> bytes:
        return b"event: error\ndata: " + self._failure_data(error) + b"\n\n"

    def _failure_data(self, error: GatewayError) -> bytes:
        raise NotImplementedError


class ResponsesInspector(TypedInspector):
    """Responses: ends with response.completed, response.incomplete or response.failed."""

    token_mark = b'.delta"'
    ends = frozenset(("response.completed", "response.incomplete", "response.failed"))

    def _failure_data(self, error: GatewayError) -> bytes:
        content = {"type": "error", "code": error.code, "message": error.message, "param": None}
        return json.dumps(content).encode()


class MessagesInspector(TypedInspector):
    """Messages: ends with message_stop."""

    token_mark = b'"content_block_delta"'
    ends = frozenset(("message_stop",))

    def _failure_data(self, error: GatewayError) -> bytes:
        return render_error(error, anthropic=True)


def _decode(data: bytes) -> dict[str, Any] | None:
    try:
        content = msgspec.json.decode(data)
    except (ValueError, RecursionError):  # the one is stricter, as about half of a surrogate pair
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):
            return None
    return content if isinstance(content, dict) else None


TYPED: dict[Api, Callable[[], EventInspector]] = {
    Api.RESPONSES: ResponsesInspector,
    Api.MESSAGES: MessagesInspector,
}
CHOSEN = {Api.CHAT: ChatInspector, Api.COMPLETIONS: TextInspector}


def choose_inspector(api: Api, *, streamed: bool, choices: int, drop_usage: bool) -> Inspector:
    """The inspector for one answer with success; `choices` is how many the client asked for."""
    if not streamed:
        return CompletionInspector() if api in CHOSEN else Inspector()
    if api in TYPED:
        return TYPED[api]()
    return CHOSEN.get(api, ChatInspector)(choices=choices, drop_usage=drop_usage)
