"""An answer of the upstream: its head, and the connection on which its body comes."""

import http.client
import re
import socket
import ssl
import time
from contextlib import suppress
from typing import Any

from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

from app.broken import UpstreamLost
from app.errors import UpstreamError
from app.framing import ChunkedDecoder, CloseDecoder, Decoder, LengthDecoder

READ_BYTES = 32 * 1024  # at once; so much of it waits for a client that does not read
LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
MAX_SMALL_BODY_BYTES = 1024 * 1024
MAX_HEAD_CHARS = 64 * 1024  # as much as a client may send


class Answer:
    """A head that was read, and the connection on which its body comes.

    Owns the connection: `finish` (the body was read to its end) or `close` ends it; either may be
    called again without effect. `early` is what was read along with the head.
    """

    def __init__(self, response: Any) -> None:
        self.status: int = response.status
        self.headers: list[tuple[str, str]] = list(response.headers.items())
        self._response = response
        self._sock = response.carrier
        self._is_open = True
        try:
            self._check_head()
            self.decoder = self._choose_decoder()
            self.recv = self._sock.recv
            self._sock.settimeout(0.0)
            self.early = self._take_early()
            self._check_alive()
        except UpstreamError:
            self.close()
            raise

    def header(self, name: str) -> str:
        """A response header's value, or an empty text."""
        return str(self._response.headers.get(name, ""))

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return self.header("content-type").split(";", 1)[0].strip().lower()

    @property
    def is_event_stream(self) -> bool:
        """Whether the body is server-sent events."""
        return self.media_type == "text/event-stream"

    @property
    def is_refusal(self) -> bool:
        """Whether the upstream answered with an error of HTTP's."""
        return 400 <= self.status < 600

    @property
    def length(self) -> int | None:
        """The Content-Length, where it frames the body."""
        declared = self.header("content-length")
        return int(declared) if isinstance(self.decoder, LengthDecoder) and declared else None

    def fileno(self) -> int:
        """The socket to wait on."""
        return int(self._sock.fileno())

    def has_pending(self) -> bool:
        """Whether bytes can be read that the kernel does not know of (TLS)."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def _check_head(self) -> None:
        # Behind a line that is no field, http.client knows no more fields, the framing included.
        try:
            assert_header_parsing(self._head.msg)
        except HeaderParsingError as error:
            raise UpstreamError from error
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_CHARS:
            raise UpstreamError

    def _choose_decoder(self) -> Decoder:
        coding, declared = self.header("transfer-encoding").lower(), self.header("content-length")
        if self.status in (204, 304):
            return LengthDecoder(0)
        if coding == "chunked" and not declared:
            return ChunkedDecoder()
        if coding or (declared and not LENGTH.fullmatch(declared)):
            raise UpstreamError
        return LengthDecoder(int(declared)) if declared else CloseDecoder()

    def _take_early(self) -> bytes:
        early = b""
        with suppress(OSError):  # nothing yet, or an end that whoever reads on will see
            early = bytes(self._head.fp.peek())
            while self.has_pending():  # the rest of a TLS record: the kernel would not tell of it
                early += self._sock.recv(READ_BYTES)
        return early

    def _check_alive(self) -> None:
        # http.client takes the end of the connection for the end of the head.
        if self.early or self.decoder.done or isinstance(self._sock, ssl.SSLSocket):
            return
        try:
            has_ended = not self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError as error:
            raise UpstreamError from error
        if has_ended:
            raise UpstreamError

    @property
    def _head(self) -> http.client.HTTPResponse:
        head: http.client.HTTPResponse = self._response._original_response
        return head

    def read(self, limit: int = MAX_SMALL_BODY_BYTES) -> bytes:
        """The whole body, blocking this greenlet only; for answers that must be looked at.

        Raises UpstreamError when it breaks off or is larger than `limit`.
        """
        self._sock.settimeout(None)
        try:
            body = self.decoder.feed(self.early)
            while not self.decoder.done and len(body) <= limit:
                data = self.recv(READ_BYTES)
                if data:
                    body += self.decoder.feed(data)
                else:
                    self.decoder.end()
        except (OSError, UpstreamLost) as error:
            raise UpstreamError from error
        finally:
            self.finish()
        if len(body) > limit:
            raise UpstreamError
        return body

    def finish(self) -> None:
        """Give the connection back to the pool where that is safe, else close it."""
        is_clean = self.decoder.done and not self.decoder.surplus
        if not is_clean or self._head.will_close or isinstance(self.decoder, CloseDecoder):
            self.close()
        elif self._is_open:
            self._release()

    def _release(self) -> None:
        self._is_open = False
        self._head.close()
        self._response.connection.idle_since = time.monotonic()
        self._response.release_conn()

    def close(self) -> None:
        """Close the connection; vLLM aborts what it was generating for it."""
        if not self._is_open:
            return
        self._is_open = False
        connection = self._response.connection
        self._head.close()
        if connection is not None:
            connection.close()
            self._response.release_conn()
        self._sock.close()
