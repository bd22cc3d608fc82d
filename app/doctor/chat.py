"""A streamed chat completion as a client gets it: what it says, how it ends, and when its events come."""

from dataclasses import dataclass, field
from typing import Any

from app.doctor.asking import Reply
from app.doctor.reading import dig, dig_text, read_json
from app.sse import EventBuffer, data_of, split_events

TEXTS = ("content",)
THOUGHTS = ("reasoning", "reasoning_content")  # vLLM's name, and its older one
# Two events this close came in one piece: no model makes tokens so fast, and a network cuts pieces larger.
TOGETHER_SECONDS = 0.0007


@dataclass(slots=True)
class ToolCall:
    """One call, put together from its pieces."""

    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class ChatStream:
    """The events of one answer. `arrivals` are the times of those that carry something."""

    asked_at: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    text: str = ""
    thoughts: str = ""
    calls: dict[int, ToolCall] = field(default_factory=dict)
    finish_reason: str | None = None
    is_done: bool = False
    has_garbage: bool = False
    usage: Any = None
    error: str | None = None

    def bursts(self) -> int:
        """In how many pieces the events came."""
        gaps = zip(self.arrivals, self.arrivals[1:], strict=False)
        return min(1, len(self.arrivals)) + sum(after - before > TOGETHER_SECONDS for before, after in gaps)

    def take(self, data: bytes, at: float) -> None:
        """One event."""
        if data.strip() == b"[DONE]":
            self.is_done = True
            return
        event = read_json(data)
        if not isinstance(event, dict):
            self.has_garbage = True
        elif "error" in event:
            self.error = dig_text(event, "error", "message") or dig_text(event, "error") or "an error"
        else:
            self._take_chunk(event, at)

    def _take_chunk(self, event: dict[str, Any], at: float) -> None:
        self.usage = event.get("usage") or self.usage
        choice = dig(event, "choices", 0)
        delta = dig(choice, "delta")
        self.finish_reason = dig_text(choice, "finish_reason") or self.finish_reason
        text = "".join(dig_text(delta, name) for name in TEXTS)
        thoughts = "".join(dig_text(delta, name) for name in THOUGHTS)
        calls = dig(delta, "tool_calls")
        self.text += text
        self.thoughts += thoughts
        for number, call in enumerate(calls if isinstance(calls, list) else ()):
            self._take_call(number, call)
        if text or thoughts or calls:
            self.arrivals.append(at)

    def _take_call(self, number: int, piece: Any) -> None:
        index = dig(piece, "index")
        call = self.calls.setdefault(index if isinstance(index, int) else number, ToolCall())
        call.call_id = call.call_id or dig_text(piece, "id")
        call.name = call.name or dig_text(piece, "function", "name")
        call.arguments += dig_text(piece, "function", "arguments")


def read_stream(reply: Reply) -> ChatStream:
    """The events of an answer, each with the time of the piece that completed it."""
    stream, buffer = ChatStream(reply.asked_at), EventBuffer()
    for at, piece in tuple(reply.pieces):
        for event in split_events(buffer.feed(piece)):
            if data := data_of(event):
                stream.take(data, at)
    rest = data_of(buffer.flush())
    if rest and reply.failure is None:  # else half an event is what a cut leaves
        stream.take(rest, reply.head_at)
    return stream
