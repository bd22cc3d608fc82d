"""The head of a request: read within bounds, and in one meaning only; and the framing of its body."""

import re
import sys

from gunicorn.config import Config
from gunicorn.http.body import Body, ChunkedReader
from gunicorn.http.errors import (
    ExpectationFailed as UnmetExpectation,
)
from gunicorn.http.errors import (
    InvalidHeader,
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
)
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import Unreader

from app.errors import (
    BadRequest,
    ExpectationFailed,
    GatewayError,
    HeadersTooLarge,
    RequestTooLarge,
    TargetTooLong,
)
from app.turns import give_turn

MAX_HEAD_BYTES = 64 * 1024
MAX_LENGTH_DIGITS = 19  # 2**63 has as many; what is longer is no length of anything
MAX_CHUNKS = 100_000
CHUNKS_AT_A_TIME = 256  # a few milliseconds, in which the event loop stands still
STRAY = re.compile(rb"\r(?!\n|\Z)|(?<!\r)\n")  # half a line end
READ_BYTES = 8 * 1024  # at once, by gunicorn and us; some of it may be behind the head
END_OF_HEAD = b"\r\n\r\n"
BODY_METHODS = ("POST", "PUT", "PATCH")
REFUSALS: dict[type[Exception], type[GatewayError]] = {
    LimitRequestLine: TargetTooLong,
    LimitRequestHeaders: HeadersTooLarge,
    UnmetExpectation: ExpectationFailed,
}


class HeadRefused(Exception):
    """A request that never became one: the error that answers it, and its first line where that was right."""

    def __init__(self, error: GatewayError, method: str | None, target: str) -> None:
        super().__init__(error.message)
        self.error = error
        self.method = method
        self.target = target


class Head(Request):
    """gunicorn's request, stricter. Raises HeadRefused, or StopIteration when no request began."""

    def __init__(self, cfg: Config, unreader: Unreader, peer: str | tuple[str, int], number: int = 1) -> None:
        self._has_begun = self._has_line = False
        try:
            super().__init__(cfg, unreader, peer, number)
        except (ParseException, NoMoreData, GatewayError) as cause:
            if not (self._has_begun or isinstance(cause, ParseException)):
                raise StopIteration from None  # at most an empty line, which some clients send behind a body
            error = cause if isinstance(cause, GatewayError) else REFUSALS.get(type(cause), BadRequest)()
            line = (self.method, self.uri or "") if self._has_line else (None, "")
            raise HeadRefused(error, *line) from cause

    def read_into(self, unreader: Unreader, buf: bytearray, stop: bool | None = False) -> None:
        """Read on, unless what came can never become a head."""
        check_line_ends(buf)
        super().read_into(unreader, buf, stop)
        self._has_begun = self._has_begun or bool(buf.strip(b"\r\n"))

    def parse_request_line(self, line_bytes: bytes) -> None:
        """The first line takes its share of what the head may have."""
        super().parse_request_line(line_bytes)
        self._has_line = True
        self._room = MAX_HEAD_BYTES - len(line_bytes + b"\r\n" + END_OF_HEAD)
        self.max_buffer_headers = self._room + READ_BYTES

    def _peer_trusted_for_forwarded(self) -> tuple[dict[str, str], list[str]]:
        """Nobody says for another what the scheme is or whose a field is; gunicorn would look each time."""
        return {}, []

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> list[tuple[str, str]]:
        """All lines count: gunicorn counts only the fields that it keeps."""
        if len(data) > self._room or data.count(b"\r\n") >= self.limit_request_fields:
            raise LimitRequestHeaders("too many or too long fields")
        return super().parse_headers(data, from_trailer)

    def set_body_reader(self) -> None:
        """One way to frame the body: chunked and nothing else, or a length."""
        codings, lengths = self._values("TRANSFER-ENCODING"), self._values("CONTENT-LENGTH")
        if codings and [coding.lower() for coding in codings] != ["chunked"]:
            raise InvalidHeader("TRANSFER-ENCODING")
        if any(len(length) > MAX_LENGTH_DIGITS for length in lengths):
            raise InvalidHeader("CONTENT-LENGTH")
        is_empty = not codings and not any(length.strip("0") for length in lengths)
        may_hide_body = is_empty and self.method in BODY_METHODS
        options = ",".join(self._values("CONNECTION")).lower().split(",")
        self._is_last = may_hide_body or "close" in map(str.strip, options) or super().should_close()
        super().set_body_reader()
        if codings:
            self.body = Body(ChunkReader(self, self.unreader))

    def should_close(self) -> bool:
        """Also where `close` is one option of many, and where a body may come that nobody declared."""
        return self.must_close or self._is_last

    def _values(self, name: str) -> list[str]:
        return [value for field, value in self.headers if field == name]


class ChunkReader(ChunkedReader):
    """gunicorn's reader of chunked bodies, less patient; nothing announced beyond `limit` is waited for."""

    limit = sys.maxsize

    def __init__(self, request: Request, unreader: Unreader) -> None:
        super().__init__(request, unreader)
        self._announced = self._chunks = 0

    def read_into(self, unreader: Unreader, buf: bytearray) -> None:
        """Read on in a size line or a trailer, unless what came can never become one."""
        check_line_ends(buf)
        super().read_into(unreader, buf)  # type: ignore[misc]  # missing in the stubs

    def parse_chunk_size(self, unreader: Unreader, data: bytes | None = None) -> tuple[int, bytes | None]:
        """The next size. Raises RequestTooLarge, and BadRequest for a body cut into dust."""
        size, rest = super().parse_chunk_size(unreader, data)
        self._announced += size
        self._chunks += 1
        if self._announced > self.limit:
            raise RequestTooLarge
        if self._chunks > MAX_CHUNKS:
            raise BadRequest
        if self._chunks % CHUNKS_AT_A_TIME == 0:
            give_turn()
        return size, rest


class HeadParser(RequestParser):
    """The requests of one connection."""

    mesg_class = Head


def check_line_ends(data: bytearray) -> None:
    """Refuse a CR or LF that stands alone in what is no body; only what was read last is looked at."""
    if STRAY.search(data, max(0, len(data) - READ_BYTES - 1)):
        raise InvalidHeader("a line that does not end with CRLF")
