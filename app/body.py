"""The request body: read within its limits, parsed once, forwarded as the bytes that came."""

import re
import time
from collections.abc import Callable
from typing import Any, Protocol

import gevent
import msgspec
from gunicorn.http.errors import ParseException

from app.errors import (
    BadRequest,
    InvalidField,
    InvalidJson,
    RequestTimeout,
    RequestTooLarge,
    UnsupportedMediaType,
)
from app.strict_json import StrictJsonError, decode_object, member_span

GRACE_SECONDS = 10.0
SLOWEST_BYTES_PER_SECOND = 64 * 1024
STEP_BYTES = 64 * 1024
MAX_CHOICES = 4096
JSON_TYPE = re.compile(r"application/json\s*(;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
FIELD_TYPES: dict[str, Any] = {"model": str, "stream": bool, "stream_options": dict}
USAGE_WISH = '"stream_options":{"include_usage":true}'


class Stream(Protocol):
    """Where a body comes from: `wsgi.input`."""

    def read(self, size: int = ...) -> bytes:
        """At most `size` bytes; none at the end."""


class RequestBody(msgspec.Struct, frozen=True):
    """The parsed body; `raw` is what came and what goes on."""

    raw: bytes
    fields: dict[str, Any]

    @property
    def model(self) -> str | None:
        """The model that was asked for, where one was."""
        model = self.fields.get("model")
        return model if isinstance(model, str) else None

    @property
    def is_stream(self) -> bool:
        """Whether the client wants an event stream."""
        return self.fields.get("stream") is True

    @property
    def wants_usage(self) -> bool:
        """Whether the client asked for the usage event itself."""
        options = self.fields.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    def count_choices(self, *, prompts: bool) -> int:
        """How many choices the answer will have: `n`, for each prompt where the API knows several."""
        n = self.fields.get("n")
        per_prompt = n if isinstance(n, int) and 1 <= n <= MAX_CHOICES else 1
        prompt = self.fields.get("prompt") if prompts else None
        if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
            return per_prompt * len(prompt)
        return per_prompt


def check_declared(content_type: str, content_encoding: str, length: int | None, limit: int) -> None:
    """Refuse by the headers alone, before a byte is read.

    Raises RequestTooLarge or UnsupportedMediaType.
    """
    if length is not None and length > limit:
        raise RequestTooLarge
    if content_encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType
    if not JSON_TYPE.fullmatch(content_type.strip()):
        raise UnsupportedMediaType


def read_body(
    stream: Stream, length: int | None, limit: int, on_growth: Callable[[int], None] | None = None
) -> bytes:
    """Read the whole body; a chunked one has `length` None. `on_growth` hears how much has come.

    The body may take 10 s, and a second more for each 64 KiB that have come. Raises RequestTimeout,
    RequestTooLarge for a chunked body over `limit`, BadRequest for broken framing or a client that
    stopped half-way.
    """
    try:
        body = _read_to_end(stream, limit, on_growth)
    except (ParseException, OSError) as error:
        raise BadRequest from error
    if length is not None and len(body) != length:
        raise BadRequest
    return body


def _read_to_end(stream: Stream, limit: int, on_growth: Callable[[int], None] | None) -> bytes:
    body = bytearray()
    started = time.monotonic()
    while data := _read_step(stream, limit - len(body), started + len(body) / SLOWEST_BYTES_PER_SECOND):
        if on_growth is not None:
            on_growth(len(data))
        body += data
        if len(body) > limit:
            raise RequestTooLarge
    return bytes(body)


def _read_step(stream: Stream, room: int, earned: float) -> bytes:
    # gunicorn's reader waits for all that it was asked for, so never ask beyond the limit.
    with gevent.Timeout(max(0.001, earned + GRACE_SECONDS - time.monotonic()), RequestTimeout()):
        return stream.read(min(STEP_BYTES, room + 1))


def parse_body(raw: bytes) -> RequestBody:
    """Parse strictly, and check the fields that the gateway itself relies on.

    Raises InvalidJson or InvalidField.
    """
    try:
        fields = decode_object(raw)
    except StrictJsonError:
        raise InvalidJson from None
    for name, kind in FIELD_TYPES.items():
        if not isinstance(fields.get(name), kind | None):
            raise InvalidField(f"The field {name} has the wrong type.", param=name)
    return RequestBody(raw, fields)


def with_usage_wish(body: RequestBody) -> bytes:
    """The body asking for a usage event: its own bytes, with that one wish spliced in."""
    text = body.raw.decode()
    if "stream_options" in body.fields:
        # Per-event usage would change what the client sees once usage is switched on.
        kept = dict(body.fields["stream_options"] or {}, include_usage=True)
        kept.pop("continuous_usage_stats", None)
        start, end = member_span(text, "stream_options")
        return (text[:start] + msgspec.json.encode(kept).decode() + text[end:]).encode()
    opening = text.index("{") + 1
    return (text[:opening] + USAGE_WISH + "," + text[opening:]).encode()
