"""What the scripted upstream is asked for and what it answers: bytes that are made once.

The wish stands in the text of the prompt, which every proxy passes on whatever it makes of the rest:

    measure:events=1000,interval=0.02,size=230,writes=0,status=200,tag=a1;
"""

import json
from functools import cache, lru_cache
from typing import NamedTuple

from tests.fake_answers import MODEL

EVENT_BYTES = 230  # an event of vLLM 0.32 with a token of four letters
BLOCK_BYTES = 64 * 1024
ENDLESS = 1_000_000_000  # events: a paced stream that ends when it is told to
MARK = b"measure:"
JSON_HEAD = b"HTTP/1.1 %b\r\nserver: uvicorn\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nserver: uvicorn\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
BASE = (
    b'{"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1764000000,"model":"%b",'
    % MODEL.encode()
)
CHOICES = b'data: %b"choices":[{"index":0,"delta":{%b},"logprobs":null,"finish_reason":%b}]}\n\n'
USAGE = b'"usage":{"prompt_tokens":20,"total_tokens":84,"completion_tokens":64}'
STAMP = b"@%017.6f@"  # in an event's text, before its end: when it was sent, on CLOCK_MONOTONIC


class Wish(NamedTuple):
    """What one request asks the upstream for."""

    events: int = 0  # 0: an answer that is not streamed
    interval: float = 0.0  # seconds between two events; 0: as fast as they are taken
    size: int = EVENT_BYTES  # bytes of one event, without its framing
    writes: int = 0  # 1: one send an event, also at full speed
    status: int = 200
    tag: str = ""  # what /__seen calls the request

    def text(self) -> str:
        """The words for it in a prompt."""
        named = zip(self._fields, self, strict=True)
        return f"{MARK.decode()}{','.join(f'{name}={value}' for name, value in named)};"

    @classmethod
    def read(cls, body: bytes) -> "Wish":
        """The wish in a request's body, or the default; ValueError where it cannot be read."""
        start = body.find(MARK)
        if start < 0:
            return cls()
        return _wish(body[start + len(MARK) : body.index(b";", start)])


@lru_cache(maxsize=64)
def _wish(words: bytes) -> Wish:
    named = dict(word.split("=") for word in words.decode().split(","))
    kinds = Wish._field_defaults
    return Wish(**{name: type(kinds[name])(value) for name, value in named.items()})


def chunk(data: bytes) -> bytes:
    """As a server frames a piece of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def make_event(text: bytes, reason: bytes = b"null") -> bytes:
    """One event of a chat stream."""
    return CHOICES % (BASE, b'"content":"%b"' % text, reason)


FIRST = CHOICES % (BASE, b'"role":"assistant","content":""', b"null")
LAST = make_event(b"", b'"stop"')
USAGE_EVENT = b'data: %b"choices":[],%b}\n\n' % (BASE, USAGE)
DONE = b"data: [DONE]\n\n"
# What a whole answer has beside its events with text.
STREAM_EVENTS = 3
STREAM_BYTES = len(FIRST) + len(LAST) + len(DONE)
START = STREAM_HEAD + chunk(FIRST)
END = chunk(LAST) + chunk(DONE) + b"0\r\n\r\n"
END_WITH_USAGE = chunk(LAST) + chunk(USAGE_EVENT) + chunk(DONE) + b"0\r\n\r\n"


@cache
def event_halves(size: int) -> tuple[bytes, bytes]:
    """An event of so many bytes in its chunk, before and behind its stamp."""
    stamp = STAMP % 0.0
    padding = b"x" * (size - len(make_event(stamp)))
    before, behind = chunk(make_event(padding + stamp)).split(stamp)
    return before, behind


def stamped_event(size: int, now: float) -> bytes:
    """One event that tells when it was sent."""
    before, behind = event_halves(size)
    return before + STAMP % now + behind


@cache
def event_block(size: int, writes: int) -> memoryview:
    """What is sent at a time at full speed: many whole events, or one."""
    event = stamped_event(size, 0.0)
    return memoryview(event if writes else event * (BLOCK_BYTES // len(event)))


@cache
def plain(status: int) -> bytes:
    """A whole answer that is not streamed: a completion of about 500 bytes, or a refusal."""
    if status != 200:
        return json_answer(
            {"error": {"message": "no", "type": "made_up", "code": status}}, f"{status} Refused"
        )
    message: dict[str, object] = {
        "role": "assistant",
        "content": "word " * 37,
        "refusal": None,
        "tool_calls": [],
    }
    usage = {"prompt_tokens": 200, "total_tokens": 237, "completion_tokens": 37}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    about = {"id": "chatcmpl-0123456789abcdef", "object": "chat.completion", "created": 1764000000}
    return json_answer({**about, "model": MODEL, "choices": [choice], "usage": usage})


def json_answer(content: object, status: str = "200 OK") -> bytes:
    """A whole answer with this content, written as pydantic does."""
    body = json.dumps(content, separators=(",", ":")).encode()
    return JSON_HEAD % (status.encode(), len(body)) + body


def models() -> bytes:
    """The list of models, as routers ask for it."""
    card = {"id": MODEL, "object": "model", "created": 1764000000, "owned_by": "vllm", "max_model_len": 32768}
    return json_answer({"object": "list", "data": [card]})
