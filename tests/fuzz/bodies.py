"""Requests with a valid key, whose bodies and types are right, or wrong in exactly one way."""

import json
import random

from app.routes import RELAYED
from tests.client import KEY
from tests.fake_vllm import Received
from tests.fuzz.corpus import filled, head
from tests.fuzz.inputs import PASSES, Input
from tests.fuzz.json_text import Writer, on_the_edge, some_fields, spoiled
from tests.fuzz.player import Outcome
from tests.fuzz.reading import read_requests

GOOD_TYPES = (
    "application/json",
    "APPLICATION/JSON",
    'application/json; charset="utf-8"',
    "application/json;charset=UTF-8 ",
)
DROPPED = {"priority", "request_id", "session_id"}
OURS = {"stream_options", "cache_salt", *DROPPED}
BAD_TYPES = (
    "text/plain",
    "application/jsonx",
    "application/json; charset=latin-1",
    "multipart/form-data; boundary=x",
    "",
)
EXTRA = (
    *("Accept: text/event-stream", "anthropic-version: 2023-06-01", "X-Session-ID: é"),
    *("traceparent: 00-0-0-00", "Connection: close", "Expect: 100-Continue", "Content-Encoding: identity"),
    *("Cookie: a=b", "X-Request-Id: " + "x" * 500, "Transfer-Encodin: chunked", "User-Agent: GoogleHC/1.0"),
)


def make(rng: random.Random) -> Input:
    """A request on one of the relayed routes."""
    body, expected = some_body(rng)
    kind = rng.choice(GOOD_TYPES)
    if rng.random() < 0.1:
        kind, expected = rng.choice(BAD_TYPES), "unsupported_media_type"
    target = rng.choice(RELAYED).path + rng.choice(("", "", "?beta=true", "?stream=true&n=9"))
    lines = [f"Content-Type: {kind}", *rng.sample(EXTRA, rng.randrange(4))]
    return Input((filled(framed(rng, target, body, lines), KEY, rng),), expected=expected)


def some_body(rng: random.Random) -> tuple[bytes, str]:
    """A body, and the verdict on it."""
    text = Writer(rng).value(some_fields(rng))
    if rng.random() < 0.4:
        return spoiled(rng, text), "invalid_json"
    return (on_the_edge(text) if rng.random() < 0.05 else text).encode(), PASSES


def framed(rng: random.Random, target: str, body: bytes, lines: list[str]) -> bytes:
    """The request with a length, or in chunks."""
    if rng.random() < 0.7:
        return head("POST", target, *lines, f"Content-Length: {len(body)}") + body
    size = rng.choice((1 + len(body) // 20, 16, 4096, 100_000))
    size = max(size, len(body) // 100 + 1)
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    wire = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return head("POST", target, *lines, "Transfer-Encoding: chunked") + wire + b"0\r\n\r\n"


def compare(sent: Input, outcome: Outcome, contacts: dict[str, Received]) -> list[str]:
    """What goes upstream is what was sent, but for what the gateway adds; what is refused does not go."""
    problems = [] if len(outcome.answers) == 1 else [f"{len(outcome.answers)} answers to one request"]
    for answer in outcome.answers:
        contact = contacts.get(answer.field(b"x-request-id").decode("latin-1"))
        if sent.expected != PASSES:
            problems += ["a refused request went upstream"] if contact else []
        elif answer.start[1] == b"200" and contact is None:
            problems.append("an answer without a request to the model server")
        elif contact is not None and not is_same(body_of(sent), contact.body):
            problems.append("another body went upstream")
    return problems


def body_of(sent: Input) -> bytes:
    """The body, without its framing."""
    return read_requests(sent.data).whole[0].body


def is_same(sent: bytes, came: bytes) -> bool:
    """Whether they are the same object, less what the gateway drops, adds or writes anew."""
    try:
        one, other = json.loads(sent), json.loads(came)
    except ValueError:
        return False
    wish, asked = one.get("stream_options"), other.get("stream_options")
    has_wish = wish == asked or ((asked or {}).get("include_usage") is True and one.get("stream") is True)
    rest = [{name: fields[name] for name in fields.keys() - OURS} for fields in (one, other)]
    return has_wish and rest[0] == rest[1] and not other.keys() & DROPPED
