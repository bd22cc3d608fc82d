"""An answer of the upstream: its head, and the connection on which its body comes."""

import ssl
from typing import Any, Protocol

from app.answer_head import AnswerHead
from app.broken import UpstreamLost
from app.errors import UpstreamError
from app.framing import CloseDecoder, LengthDecoder

READ_BYTES = 32 * 1024  # at once; so much of it waits for a client that does not read
MAX_SMALL_BODY_BYTES = 1024 * 1024


class Carrier(Protocol):
    """The connection that an answer comes on."""

    sock: Any

    def release(self) -> None:
        """The answer was read to its end: another may come on this connection."""

    def close(self) -> None:
        """End the connection; again without effect."""


class Answer:
    """A head that was read, and the connection on which its body comes.

    Owns the connection: `finish` (the body was read to its end) or `close` ends it; either may be
    called again without effect. `early` is what was read along with the head. Raises UpstreamError for a
    body whose framing is not certain; then the connection stays with the caller.
    """

    def __init__(self, connection: Carrier, head: AnswerHead, early: bytes) -> None:
        self.status = head.status
        self.headers = head.fields
        self.decoder = head.decoder()
        self.early = early
        self._head = head
        self._connection = connection
        self._sock = connection.sock
        self._is_open = True
        self._sock.settimeout(0.0)
        self.is_tls = isinstance(self._sock, ssl.SSLSocket)
        if self.is_tls:
            self.recv = self._sock.recv
            while self.has_pending():  # the rest of a TLS record: the kernel would not tell of it
                self.early += self._sock.recv(READ_BYTES)
        else:
            self.recv = self._sock._sock.recv  # without gevent's way around it

    def header(self, name: str) -> str:
        """A response header's value, or an empty text."""
        return self._head.field(name)

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
        return int(declared) if isinstance(self.decoder, LengthDecoder) and declared.isdecimal() else None

    def fileno(self) -> int:
        """The socket to wait on."""
        return int(self._sock.fileno())

    def has_pending(self) -> bool:
        """Whether bytes can be read that the kernel does not know of (TLS)."""
        return self.is_tls and bool(self._sock.pending() > 0)

    def read(self, limit: int = MAX_SMALL_BODY_BYTES) -> bytes:
        """The whole body, blocking this greenlet only; for answers that must be looked at.

        Raises UpstreamError when it breaks off or is larger than `limit`.
        """
        self._sock.settimeout(None)
        try:
            body = self.decoder.feed(self.early)
            while not self.decoder.done and len(body) <= limit:
                data = self._sock.recv(READ_BYTES)
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
            self._is_open = False
            self._sock.settimeout(None)
            self._connection.release()

    def close(self) -> None:
        """Close the connection; vLLM aborts what it was generating for it."""
        if self._is_open:
            self._is_open = False
            self._connection.close()
