"""What a client may see of an answer that broke off: an honest error, or an honest part."""

import json
from dataclasses import dataclass
from typing import Any

from tests.client import KEY, RawClient

FRAMINGS = ("chunked", "length", "close")
# The streamed APIs, and what only the last event of a whole stream holds.
END_MARKS = {
    "/v1/chat/completions": b"[DONE]",
    "/v1/completions": b"[DONE]",
    "/v1/responses": b"response.completed",
    "/v1/messages": b"message_stop",
}
ERROR_STATUSES = (502, 503, 504)


@dataclass
class Outcome:
    """An answer as far as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool  # by its framing

    @property
    def request_id(self) -> str:
        """The gateway's id of the request."""
        return self.headers["x-request-id"]


def asked(stream: bool, model: str = "m", **script: Any) -> dict[str, Any]:
    """A request body for any route; the usage is wished for, so that every event passes."""
    wish = {"stream_options": {"include_usage": True}} if stream else {}
    return {"model": model, "stream": stream, **wish, "fake": script}


def ask(port: int, target: str, body: Any, key: str = KEY) -> Outcome:
    """Ask on a connection of its own, and take whatever comes."""
    with RawClient(port) as client:
        client.send_request("POST", target, body, X_API_Key=key)
        client.read_head()
        return take(client)


def take(client: RawClient) -> Outcome:
    """The body behind a head that was read, up to its end or its break."""
    pieces: list[bytes] = []
    try:
        pieces.extend(client.body())
    except ConnectionResetError:
        client.is_whole = False
    return Outcome(client.status, client.headers, b"".join(pieces), client.is_whole)


def events_of(body: bytes) -> list[bytes]:
    """The events; each must be whole."""
    assert not body or body.endswith(b"\n\n")
    return [event + b"\n\n" for event in body.split(b"\n\n")[:-1]]


def check_refused(outcome: Outcome, target: str) -> None:
    """An error status, whole, in the shape of the API, and when to come back where that may help."""
    assert outcome.status in ERROR_STATUSES
    assert outcome.is_whole
    check_error_shape(json.loads(outcome.body), target)
    if outcome.status == 503:
        assert 1 <= int(outcome.headers["retry-after"]) <= 59


def check_error_shape(content: Any, target: str) -> None:
    """The members that clients of the API read."""
    if target.startswith("/v1/messages"):
        assert content["type"] == "error"
        assert set(content["error"]) == {"type", "message"}
    else:
        assert set(content["error"]) == {"message", "type", "param", "code"}


def error_event_code(event: bytes, target: str) -> str | None:
    """The code in an error event of the API, which must stand alone; Anthropic's has none."""
    lines = event.decode().removesuffix("\n\n").split("\n")
    is_typed = target in ("/v1/messages", "/v1/responses")
    assert lines[:-1] == (["event: error"] if is_typed else [])
    content = json.loads(lines[-1].removeprefix("data: "))
    if target == "/v1/responses":
        assert set(content) == {"type", "code", "message", "param"}
        assert content["type"] == "error"
        return str(content["code"])
    check_error_shape(content, target)
    return None if target == "/v1/messages" else str(content["error"]["code"])


def check_broken_stream(
    outcome: Outcome, true_body: bytes, target: str, came: int, *, exactly: bool = True
) -> str | None:
    """The `came` whole events that reached the gateway, one error event, a cut; returns its code."""
    *told, error = events_of(outcome.body)
    true_events = events_of(true_body)
    assert told == true_events[: len(told)]
    assert len(told) == came or (len(told) < came and not exactly)
    assert not outcome.is_whole
    assert came == len(true_events) or END_MARKS[target] not in outcome.body
    return error_event_code(error, target)


def check_broken_body(outcome: Outcome, true_body: bytes) -> None:
    """A part of the body, and no sign that it were all of it."""
    assert true_body.startswith(outcome.body)
    assert not outcome.is_whole
