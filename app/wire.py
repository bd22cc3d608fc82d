"""One exchange on the client's connection: a parsed request in, exactly one answer out."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, Protocol

from gunicorn import util
from gunicorn.http import wsgi

from app.broken import ClientGone, IdleTimeout
from app.connection import ClientConnection
from app.error_body import render_error
from app.errors import BadRequest, GatewayError, RequestTimeout, UpstreamTimeout
from app.headers import OURS, id_fields
from app.instance import INSTANCE
from app.logs import RequestRecord
from app.relay import GONE, Relay
from app.routes import speaks_anthropic

CLIENT_CLOSED_REQUEST = 499
SILENCES = (UpstreamTimeout.code, IdleTimeout.code)  # outcomes that make one doubt the upstream
MALFORMED = (BadRequest.code, RequestTimeout.code)  # nobody knows where behind these a next request begins
CONNECTION, RECORD = "gateway.connection", "gateway.record"  # keys of the WSGI environ
log = logging.getLogger("gateway.wire")


class Response(wsgi.Response):
    """gunicorn's response with a head of our own; the relay and the exchange write the body."""

    def should_close(self) -> bool:
        """Also when the request's body was not read: the next request cannot be found behind it."""
        return bool(super().should_close()) or has_unread_body(self.req)

    def default_headers(self) -> list[str]:
        """Status line and connection fields; the server does not introduce itself."""
        lines = [
            f"HTTP/1.1 {self.status}\r\n",
            f"Date: {http_date(int(time.time()))}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
        ]
        return [*lines, "Transfer-Encoding: chunked\r\n"] if self.chunked else lines

    def take_head(self) -> bytes:
        """The head as bytes, to be sent together with the first of the body."""
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers)]
        self.headers_sent = True
        return ("".join(lines) + "\r\n").encode("latin-1")


def has_unread_body(request: Any) -> bool:
    """Whether bytes of the request's body are still to come."""
    reader = request.body.reader
    return bool(getattr(reader, "length", 0)) or getattr(reader, "parser", None) is not None


@lru_cache(maxsize=1)
def http_date(seconds: int) -> str:
    """The date of that second; a flood asks for it more often than it changes."""
    return str(util.http_date(seconds))


note_byte = partial(INSTANCE.set, "byte_at")  # the upstream sends: it does not hang


class Sink(Protocol):
    """Where the record of a request goes when it is over."""

    def write(self, record: RequestRecord) -> None:
        """Take it. Nothing may be raised: the answer has gone out."""


class Exchange:
    """One request: from its parsed head to the end of its answer and its line in the log."""

    def __init__(
        self,
        request: Any,
        environ: dict[str, Any],
        connection: ClientConnection,
        cfg: Any,
        sinks: Sequence[Sink],
    ) -> None:
        self._connection = connection
        self._request = request
        self._sinks = sinks
        self._record = RequestRecord(peer=environ["REMOTE_ADDR"] or None, method=request.method)
        connection.record = self._record
        if request._expected_100_continue:
            connection.expect_continue()  # our consent waits for the checks that need no body
        self._response: Any = Response(request, connection.sock, cfg)
        self._environ = environ
        self._environ[CONNECTION] = connection
        self._environ[RECORD] = self._record

    def serve(self, application: Callable[..., Iterable[bytes]], *, last: bool) -> bool:
        """Answer; whether the connection can carry another request. `last` forbids that."""
        if last:
            self._response.force_close()
        try:
            body = application(self._environ, self._response.start_response)
            self._record.status = self._response.status_code or 0
            if self._record.outcome in MALFORMED:
                self._response.force_close()
            return self._send(body)
        except ClientGone:
            self._record.outcome = GONE
            self._record.status = CLIENT_CLOSED_REQUEST
            return False
        except OSError:
            self._record.outcome = GONE
            raise
        except Exception:
            log.exception("request failed", extra={"request_id": self._record.request_id})
            send_error(self._connection, GatewayError(), self._record, self._request.uri)
            return False
        finally:
            self._connection.end_request()
            if self._record.outcome in SILENCES and not INSTANCE.get("suspected_since"):
                INSTANCE.set("suspected_since", time.monotonic())
            for sink in self._sinks:
                sink.write(self._record)

    def _send(self, body: Iterable[bytes]) -> bool:
        if self._connection.is_last or self._connection.has_overflowed:
            self._response.force_close()
        if isinstance(body, Relay):
            return self._relay(body)
        content = b"".join(body)
        self._record.bytes_out = len(content)
        head = self._response.take_head()
        self._connection.send_all(head if self._request.method == "HEAD" else head + content)
        return not self._response.should_close()

    def _relay(self, relay: Relay) -> bool:
        response = self._response
        relay.run(self._connection, response.take_head(), chunked=response.chunked, on_byte=note_byte)
        if relay.is_whole:
            return not response.should_close()
        if not response.chunked and response.response_length is None:
            self._connection.reset_on_close()
        return False


def send_error(connection: ClientConnection, error: GatewayError, record: RequestRecord, target: str) -> None:
    """Answer outside of any WSGI call, and note it in the record; the connection must end."""
    anthropic = speaks_anthropic(target)
    content = render_error(error, anthropic=anthropic)
    record.status, record.outcome, record.bytes_out = error.status, error.code, len(content)
    fields = {
        "Date": http_date(int(time.time())),
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **id_fields(record.request_id, anthropic=anthropic),
        **OURS,
        **error.headers(),
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    connection.send_all(head if record.method == "HEAD" else head + content)
