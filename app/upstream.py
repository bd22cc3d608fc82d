"""Open a request to the upstream with `requests`, and hand over its connection with the answer."""

import http.client
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util import SKIP_HEADER

from app.errors import UpstreamError, UpstreamLost, UpstreamUnavailable
from app.framing import ChunkedDecoder, CloseDecoder, Decoder, LengthDecoder

CONNECT_SECONDS = 2.0
PROBE_SECONDS = 2.0
# Below the 5 s of a uvicorn with default settings; vLLM behind our entrypoint keeps them longer.
IDLE_SECONDS = 4.0
POOL_SIZE = 1000  # connections kept; more may be open at once
READ_BYTES = 65536
MAX_SMALL_BODY_BYTES = 1024 * 1024
HOST = "vllm"


class StaleConnection(Exception):
    """A pooled connection was closed by the upstream before it answered with a single byte."""


class _Tracked:
    """A pooled connection that knows whether it was used before and for how long it lay idle."""

    sock: Any
    answers = 0
    idle_since = 0.0

    @property
    def is_connected(self) -> bool:
        """urllib3 asks before it reuses a connection."""
        if self.answers and time.monotonic() - self.idle_since > IDLE_SECONDS:
            return False
        return bool(super().is_connected)  # type: ignore[misc]

    def connect(self) -> None:
        """Make the connection anew; urllib3 keeps the object when the socket is gone."""
        self.answers = 0
        super().connect()  # type: ignore[misc]

    def getresponse(self) -> Any:
        """Read the head; raises StaleConnection only when not one byte of an answer came."""
        if self.answers:
            self._wait_for_first_byte()
        self.answers += 1
        carrier = self.sock  # http.client forgets the socket of an answer that ends with it
        response = super().getresponse()  # type: ignore[misc]
        response.carrier = carrier
        return response

    def _wait_for_first_byte(self) -> None:
        try:
            # A TLS socket cannot peek; there a stale connection is an ordinary failure.
            if isinstance(self.sock, ssl.SSLSocket) or self.sock.recv(1, socket.MSG_PEEK):
                return
        except ConnectionError:
            pass
        raise StaleConnection


class PlainConnection(_Tracked, HTTPConnection):
    """TCP without TLS."""


class TlsConnection(_Tracked, HTTPSConnection):
    """TCP with TLS."""


class UnixConnection(PlainConnection):
    """HTTP over a Unix socket; the pool's host is its path."""

    socket_path = ""

    def _new_conn(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(CONNECT_SECONDS)
            sock.connect(self.socket_path)
        except OSError as error:
            sock.close()
            raise NewConnectionError(self, f"cannot connect: {error}") from error
        return sock


class UpstreamAdapter(HTTPAdapter):
    """One pool to one server, whatever a request's URL says; no cookies, proxies or redirects."""

    def __init__(self, base_url: str) -> None:
        super().__init__(max_retries=0)
        self.pool = _make_pool(base_url)

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:
        """Every request goes to the one server that was configured."""
        return self.pool

    def cert_verify(self, *_args: Any) -> None:
        """The pool was made with its certificates."""

    def request_url(self, request: requests.PreparedRequest, _proxies: Any) -> str:
        """The path from the route table, untouched."""
        return str(request.url)

    def build_response(self, _request: requests.PreparedRequest, response: Any) -> Any:
        """urllib3's response is all that is needed."""
        return response


def _make_pool(base_url: str) -> HTTPConnectionPool:
    parts = urlsplit(base_url)
    if parts.scheme == "https":
        tls = HTTPSConnectionPool(
            parts.hostname or "", parts.port, maxsize=POOL_SIZE, ca_certs=requests.certs.where()
        )
        tls.ConnectionCls = TlsConnection
        return tls
    pool = HTTPConnectionPool(parts.hostname or HOST, parts.port, maxsize=POOL_SIZE)
    if parts.scheme == "unix":
        members = {"socket_path": parts.path}
        pool.ConnectionCls = type("BoundUnixConnection", (UnixConnection,), members)
    else:
        pool.ConnectionCls = PlainConnection
    return pool


class Answer:
    """A head that was read, and the connection on which its body comes.

    Owns the connection: exactly one of `release` (the body was read to its end) and `close` ends
    it; either may be called again without effect. `early` is what was read along with the head.
    """

    def __init__(self, response: Any) -> None:
        self.status: int = response.status
        self.headers: list[tuple[str, str]] = list(response.headers.items())
        self._response = response
        self._sock = response.carrier
        self._is_open = True
        self.decoder = self._choose_decoder()
        self.recv = self._sock.recv
        self._sock.settimeout(0.0)
        self.early = self._take_early()

    def header(self, name: str) -> str:
        """A response header's value, or an empty text."""
        return str(self._response.headers.get(name, ""))

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return self.header("content-type").split(";", 1)[0].strip().lower()

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

    def _choose_decoder(self) -> Decoder:
        coding, declared = self.header("transfer-encoding").lower(), self.header("content-length")
        if self.status in (204, 304):
            return LengthDecoder(0)
        if coding == "chunked" and not declared:
            return ChunkedDecoder()
        if coding or (declared and not (declared.isascii() and declared.isdigit())):
            self.close()
            raise UpstreamError
        return LengthDecoder(int(declared)) if declared else CloseDecoder()

    def _take_early(self) -> bytes:
        try:
            return bytes(self._head.fp.peek())
        except (ssl.SSLWantReadError, BlockingIOError):
            return b""

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
        """`release` after a whole body, else `close`."""
        if self.decoder.done and not self.decoder.surplus:
            self.release()
        else:
            self.close()

    def release(self) -> None:
        """Give the connection back to the pool, where its framing allows that."""
        if not self._is_open:
            return
        if self._head.will_close or isinstance(self.decoder, CloseDecoder):
            self.close()
            return
        self._is_open = False
        self._head.close()
        self._sock.settimeout(None)
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


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the upstream; `path` comes from the route table, never from a client."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None


class Upstream:
    """The one server behind this gateway."""

    def __init__(self, base_url: str) -> None:
        self._adapter = UpstreamAdapter(base_url)
        parts = urlsplit(base_url)
        self._host = parts.netloc or HOST

    def open(self, call: Call) -> Answer:
        """Send the call and read the answer's head; blocks this greenlet without a limit of its own.

        A reused connection that died before any response byte is replaced once. Raises
        UpstreamUnavailable when no connection can be made or it is lost before an answer, and
        UpstreamError when the answer is no HTTP.
        """
        try:
            return self._send(call)
        except StaleConnection:
            pass
        try:
            return self._send(call)
        except StaleConnection as error:
            raise UpstreamUnavailable from error

    def _send(self, call: Call) -> Answer:
        request = requests.PreparedRequest()
        request.method = call.method
        request.url = call.path
        request.headers = CaseInsensitiveDict(self._headers(call))
        request.body = call.body
        try:
            response: Any = self._adapter.send(request, stream=True, timeout=(CONNECT_SECONDS, None))
        except requests.ConnectionError as error:
            if _is_http_violation(error):
                raise UpstreamError from error
            raise UpstreamUnavailable from error
        except (requests.RequestException, ValueError) as error:
            raise UpstreamError from error
        return Answer(response)

    def _headers(self, call: Call) -> Iterable[tuple[str, str]]:
        yield "Host", self._host
        yield "User-Agent", SKIP_HEADER
        yield "Accept-Encoding", "identity"
        if call.body is not None:
            yield "Content-Length", str(len(call.body))
        yield from call.headers.items()


def _is_http_violation(error: requests.ConnectionError) -> bool:
    """Whether bytes came that are no answer, rather than no bytes at all."""
    causes = getattr(error.args[0], "args", ()) if error.args else ()
    violations = [cause for cause in causes if isinstance(cause, http.client.HTTPException)]
    return any(not isinstance(cause, http.client.RemoteDisconnected) for cause in violations)
