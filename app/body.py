"""The request body: read within its limits, parsed once, forwarded as the bytes that came."""

import re
import time
from collections.abc import Callable, Mapping, Set
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
from app.strict_json import StrictJsonError, count_values, decode_object, member_spans, most_values
from app.turns import give_turn

GRACE_SECONDS = 10.0
SLOWEST_BYTES_PER_SECOND = 64 * 1024
STEP_BYTES = 64 * 1024
MAX_CHOICES = 4096
VALUES_AT_ONCE = 8192  # what is more is parsed in steps, since all others wait for it
JSON_TYPE = re.compile(r"application/json\s*(;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
FIELD_TYPES: dict[str, Any] = {"model": str, "stream": bool, "stream_options": dict}


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


def parse_body(raw: bytes, max_values: int) -> RequestBody:
    """Parse strictly, and check the fields that the gateway itself relies on.

    Raises InvalidJson or InvalidField.
    """
    most = most_values(raw)
    if most > max_values:
        _check_count(raw, max_values)
    try:
        fields = decode_object(raw, give_turn if most > VALUES_AT_ONCE else None)
    except StrictJsonError as error:
        raise InvalidJson(f"{InvalidJson.message.removesuffix('.')}: {error}.") from None
    for name, kind in FIELD_TYPES.items():
        if not isinstance(fields.get(name), kind | None):
            raise InvalidField(f"The field {name} has the wrong type.", param=name)
    return RequestBody(raw, fields)


def _check_count(raw: bytes, most: int) -> None:
    for values in count_values(raw):
        if values > most:
            raise InvalidJson("The request body has too many values.")
        give_turn()


def usage_wish(body: RequestBody) -> dict[str, Any]:
    """The `stream_options` that ask for a usage event, beside what the client asked for.

    Per-event usage would change what the client sees once usage is switched on.
    """
    options = dict(body.fields.get("stream_options") or {}, include_usage=True)
    options.pop("continuous_usage_stats", None)
    return options


def edited(body: RequestBody, drop: Set[str], put: Mapping[str, Any]) -> bytes:
    """The body without some of its members and with others, each value otherwise byte for byte as it came."""
    written = {name: msgspec.json.encode(value) for name, value in put.items()}
    touched = body.fields.keys() & (drop | put.keys())
    added = [msgspec.json.encode(name) + b":" + written[name] for name in put if name not in touched]
    if not touched:
        opening = body.raw.index(b"{") + 1
        joint = b"," if added and body.fields else b""
        return body.raw[:opening] + b",".join(added) + joint + body.raw[opening:]
    text = body.raw.decode()
    for name, start, value, end in member_spans(text, give_turn):
        if name in put:
            added.append(text[start:value].encode() + written[name])
        elif name not in drop:
            added.append(text[start:end].encode())
    return b"{" + b",".join(added) + b"}"
