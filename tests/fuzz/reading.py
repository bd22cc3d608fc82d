"""Requests and answers read by the letter of RFC 9112, apart from any code of the gateway."""

import re
from dataclasses import dataclass, field

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
TARGET = rb"(?:/|[A-Za-z0-9+.-]*://)[\x21-\x7e]*|(?<=OPTIONS )\*"
METHOD = rb"[!$%&'*+.^_`|~0-9A-Z-]{3,20}"  # as gunicorn takes them
REQUEST_LINE = re.compile(rb"(" + METHOD + rb") (" + TARGET + rb") HTTP/1\.([0-9])")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t\x20-\x7e]*")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
EXTENSION = rb"[ \t]*;[ \t]*" + TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + TOKEN + rb"|" + QUOTED + rb"))?"
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:" + EXTENSION + rb")*")
NO_TRAILERS = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"trailer", b"authorization", b"te")
)
LENGTHS = (b"content-length", b"transfer-encoding")
SINGLE = (b"host", b"content-type")
MOST_FIELDS, MOST_LINE_BYTES = 100, 8190  # of a request, as the gateway is set
Fields = list[tuple[bytes, bytes]]


class Broken(Exception):
    """The bytes break the standard, or the gateway's limits."""


class Partial(Exception):
    """The bytes end before the message does."""


@dataclass(frozen=True)
class Message:
    """A request or an answer."""

    start: re.Match[bytes]
    fields: Fields
    body: bytes

    def field(self, name: bytes) -> bytes:
        """A field's value, its repetitions joined; nothing without it."""
        return b", ".join(value for each, value in self.fields if each == name)

    @property
    def has_length(self) -> bool:
        """Whether an answer tells where it ends, other than by the end of its connection."""
        return self.start[1] == b"204" or any(each in LENGTHS for each, _ in self.fields)


@dataclass
class Requests:
    """What a client has sent: whole requests, and whether something stands behind them."""

    whole: list[Message] = field(default_factory=list)
    has_rest: bool = False
    rest_is_head: bool = False  # and so would be answered without a body

    @property
    def methods(self) -> list[bytes]:
        """The method of each."""
        return [message.start[1] for message in self.whole]


def read_requests(data: bytes) -> Requests:
    """Every whole request, up to the first that is broken or not finished."""
    found = Requests()
    while data:
        data = data.removeprefix(b"\r\n")
        try:
            message, data = read_request(data)
        except (Broken, Partial):
            found.has_rest, found.rest_is_head = True, data.startswith(b"HEAD ")
            break
        found.whole.append(message)
    return found


def read_request(data: bytes) -> tuple[Message, bytes]:
    """One request, and the bytes behind it."""
    start, fields, rest = read_head(data, REQUEST_LINE)
    names = [name for name, _ in fields]
    longest = max(len(start[0]), *(len(name + value) + 3 for name, value in fields), 0)
    if longest > MOST_LINE_BYTES or len(names) > MOST_FIELDS or any(names.count(name) > 1 for name in SINGLE):
        raise Broken
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if codings:
        if lengths or codings[0].lower() != b"chunked" or len(codings) > 1 or start[3] == b"0":
            raise Broken
        body, rest = read_chunks(rest)
    elif len(lengths) > 1 or not all(value.isdigit() for value in lengths):
        raise Broken
    else:
        body, rest = take(rest, int(lengths[0].lstrip(b"0")[:20] or 0) if lengths else 0)
    return Message(start, fields, body), rest


def read_answer(data: bytes, *, is_for_head: bool) -> tuple[Message, bytes]:
    """One answer that is not interim, and the bytes behind it."""
    start, fields, rest = read_head(data, STATUS_LINE)
    if start[1].startswith(b"1"):
        return read_answer(rest, is_for_head=is_for_head)
    message = Message(start, fields, b"")
    if is_for_head or start[1] == b"204":
        return message, rest
    if message.field(b"transfer-encoding") == b"chunked":
        body, rest = read_chunks(rest)
    elif message.field(b"content-length").isdigit():
        body, rest = take(rest, int(message.field(b"content-length")))
    else:  # up to the end of the connection: only for a client that knows no chunks
        body, rest = rest, b""
    return Message(start, fields, body), rest


def read_head(data: bytes, first_line: re.Pattern[bytes]) -> tuple[re.Match[bytes], Fields, bytes]:
    """The first line, the fields with names in lower case, and the bytes behind the blank line."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise Partial
    first, *lines = data[:end].split(b"\r\n")
    start = first_line.fullmatch(first)
    if start is None:
        raise Broken(first[:100])
    return start, read_fields(lines), data[end + 4 :]


def read_fields(lines: list[bytes]) -> Fields:
    """The fields of a head or a trailer."""
    matches = [FIELD.fullmatch(line) for line in lines]
    if None in matches:
        raise Broken
    return [(match[1].lower(), match[2].rstrip(b" \t")) for match in matches if match]


def read_chunks(data: bytes) -> tuple[bytes, bytes]:
    """A chunked body, and the bytes behind it."""
    parts = []
    while True:
        line, data = take_line(data)
        match = CHUNK_LINE.fullmatch(line)
        if match is None:
            raise Broken
        if not int(match[1], 16):
            break
        part, data = take(data, int(match[1], 16))
        end, data = take(data, 2)
        if end != b"\r\n":
            raise Broken
        parts.append(part)
    trailers = []
    while (read := take_line(data))[0]:
        trailers.append(read[0])
        data = read[1]
    if any(name in NO_TRAILERS for name, _ in read_fields(trailers)):
        raise Broken
    return b"".join(parts), read[1]


def take_line(data: bytes) -> tuple[bytes, bytes]:
    """What stands before the next line end, and what behind it."""
    line, end, rest = data.partition(b"\r\n")
    if not end:
        raise Partial
    return line, rest


def take(data: bytes, size: int) -> tuple[bytes, bytes]:
    """So many bytes, and the rest."""
    if len(data) < size:
        raise Partial
    return data[:size], data[size:]
