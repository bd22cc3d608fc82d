"""What the bytes of a whole answer look like in each API, and what a broken one is told.

A dialect sees every event before the client does. It changes nothing but what it must: the usage
event that the gateway asked for and the client did not, and an unknown end of a choice.
"""

import json
from collections.abc import Callable
from typing import Any

from app.broken import UpstreamLost
from app.error_body import render_error
from app.errors import GatewayError
from app.inspector import REPETITION, CompletionInspector, EventInspector, Inspector
from app.routes import Api
from app.sse import data_of

KNOWN_ENDS = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))
DONE = b"[DONE]"
USAGE, GOES_ON = b'"usage"', b'"finish_reason":null'
MARKS = (USAGE, b'"error"')


class ChatInspector(EventInspector):
    """Chat completions: each choice ends with a known finish_reason, then `[DONE]`."""

    token_mark = b'"delta"'

    def __init__(self, *, choices: int, drop_usage: bool) -> None:
        super().__init__()
        self._choices = choices
        self._ended: set[int] = set()
        self._drop_usage = drop_usage

    def _is_ordinary(self, block: bytes) -> bool:
        # Behind the first token, of one choice: each event says that it goes on, and none tells of usage.
        events = block.count(GOES_ON)
        if self._choices > 1 or not self._streamed_tokens or not events or b"\r" in block:
            return False
        if events != block.count(b"\n\n") or USAGE in block:
            return False
        self._streamed_tokens += events
        return True

    def _count_tokens(self, block: bytes) -> int:
        # A choice's first event is empty.
        return block.count(self.token_mark) - block.count(b'"role"')

    def _must_look(self, block: bytes) -> bool:
        # vLLM writes `"finish_reason":null` in every event but a choice's last; JSON text in a
        # string has its quotes escaped, so none of these marks can come from generated text.
        ends = block.count(b'"finish_reason"') - block.count(GOES_ON)
        return ends > 0 or USAGE in block or DONE in block or b'"error"' in block

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
