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


def some_body(rng: random.Random) -> tuple[bytes, str | None]:
    """A body, and the verdict on it where that is known."""
    text = Writer(rng).value(some_fields(rng))
    chance = rng.random()
    if chance < 0.4:
        return spoiled(rng, text), "invalid_json"
    return (on_the_edge(rng, text), None) if chance < 0.43 else (text.encode(), PASSES)


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
    """What went upstream has to be what was sent, but for the wish for usage; what is refused does not go."""
    problems = [] if len(outcome.answers) == 1 else [f"{len(outcome.answers)} answers to one request"]
    for answer in outcome.answers:
        contact = contacts.get(answer.field(b"x-request-id").decode("latin-1"))
        if sent.expected is None:
            continue
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
    """Whether they are the same bytes, or the same object but for `stream_options`."""
    if sent == came:
        return True
    try:
        one, other = json.loads(sent), json.loads(came)
    except ValueError:
        return False
    has_wish = (other.pop("stream_options", None) or {}).get("include_usage") is True
    wish = one.pop("stream_options", None) or {}
    return has_wish and one == other and not wish.get("include_usage")
