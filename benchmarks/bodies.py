"""The requests that the load generator sends: whole bytes, made once, with what their answer must be."""

import json
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.answers import ENDLESS, STREAM_BYTES, STREAM_EVENTS, USAGE_EVENT, Wish, plain
from benchmarks.wire import Answer
from tests.client import KEY
from tests.client_requests import OPENCODE
from tests.fake_answers import MODEL

PROMPT_BYTES = 30_000  # of OpenCode's first request, before its texts were shortened for the sample
FILLER = "Some words of a prompt. "


@dataclass(frozen=True)
class Request:
    """One request and its expected answer; sizes are of the body without framing, None where any will do."""

    raw: bytes
    body: bytes
    status: int = 200
    events: int | None = None
    size: int | None = None  # of the body, or of what a stream has beside its events with text
    event_size: int = 0
    is_stamped: bool = False  # its events tell when they were sent

    def loosened(self) -> "Request":
        """The same, for a proxy that writes answers anew: only the status and a proper end are checked."""
        return replace(self, events=None, size=None)

    def fault(self, answer: Answer) -> str:
        """What is wrong with a whole answer, in words; empty when nothing is."""
        if answer.status != self.status:
            return f"status {answer.status}"
        if self.events is not None and answer.events != self.events:
            return f"{answer.events} events instead of {self.events}"
        if self.size is not None:
            size = self.size + self.event_size * (answer.events - STREAM_EVENTS)
            if answer.body_bytes != size:
                return f"{answer.body_bytes} bytes instead of {size}"
        return ""


def head(length: int, key: str = KEY) -> bytes:
    """The head of a request; the key in both ways, since proxies look at different ones."""
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "Host: 127.0.0.1",
        f"X-API-Key: {key}",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def chat(wish: Wish, *, size: int = 300, key: str = KEY, status: int = 200) -> Request:
    """A chat request of about so many bytes, whose answer is what the wish says."""
    text = (FILLER * (size // len(FILLER)))[: max(0, size - 200)] + wish.text()
    content = {"model": MODEL, "stream": wish.events > 0, "messages": [{"role": "user", "content": text}]}
    return _request(content, wish, key, status)


def opencode(wish: Wish) -> Request:
    """OpenCode's request with its tools, at the size that it had when it was recorded."""
    content: dict[str, Any] = deepcopy(OPENCODE["main"])
    content["model"] = MODEL
    missing = PROMPT_BYTES - len(json.dumps(content))
    share = FILLER * (missing // 2 // len(FILLER))
    content["messages"][0]["content"] = share
    for tool in content["tools"]:
        tool["function"]["description"] = share[: len(share) // len(content["tools"])]
    content["messages"].append({"role": "user", "content": wish.text()})
    return _request(content, wish, KEY, 200)


def _request(content: dict[str, Any], wish: Wish, key: str, status: int) -> Request:
    body = json.dumps(content, separators=(",", ":")).encode()
    raw = head(len(body), key) + body
    if status != 200:
        return Request(raw, body, status)
    if not wish.events:
        return Request(raw, body, wish.status, 0, len(plain(wish.status).partition(b"\r\n\r\n")[2]))
    has_usage = "stream_options" in content
    size = STREAM_BYTES + has_usage * (len(USAGE_EVENT) - wish.size)
    events = None if wish.events == ENDLESS else wish.events + STREAM_EVENTS + has_usage
    return Request(raw, body, 200, events, size, wish.size, wish.interval > 0)
