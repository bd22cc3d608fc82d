"""Connections to the upstream, over TCP, TLS or a Unix socket, as a `requests` adapter.

`requests` opens the request and tells how that failed; the bytes on the connection are written and read
here, since the way of its own library takes as much time as all the rest of a request.
"""

import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
from gevent.monkey import get_original
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from app.answer import READ_BYTES, Answer
from app.answer_head import AnswerHead, parse_head
from app.errors import UpstreamError
from app.head import END_OF_HEAD, STRAY

CONNECT_SECONDS = 2.0
# Below the 5 s of a uvicorn with default settings; vLLM behind our entrypoint keeps them longer.
IDLE_SECONDS = 4.0
MAX_HEADS = 10  # of one answer: all but the last are interim ones
MAX_HEAD_BYTES = 64 * 1024  # as much as a client may send
POOL_SIZE = 1000  # connections kept; more may be open at once
JOINED_BYTES = 64 * 1024  # a body up to this goes out in one piece with its head
UNIX_HOST = "vllm"
GONE = (ConnectionError, ssl.SSLEOFError)  # how the other side's end shows
native_poll: Any = get_original("select", "poll")  # gevent's lets other greenlets run, also for no time
native_getaddrinfo: Any = get_original("socket", "getaddrinfo")


class StaleConnection(Exception):
    """A pooled connection was closed by the upstream before it answered with a single byte."""


class Connection:
    """One connection: one request and its answer at a time."""

    def __init__(self, sock: Any, pool: "Pool") -> None:
        self.sock = sock
        self._pool = pool
        self._answers = 0
        self._idle_since = 0.0
        self._is_half_sent = False

    def ask(self, head: bytes, body: bytes) -> tuple[AnswerHead, bytes]:
        """Send a request; the head of its answer, and what has come of the answer's body with it.

        Blocks this greenlet without a limit. Raises StaleConnection only when not one byte of an answer
        came on a connection that had carried one before, OSError, or UpstreamError for what is no HTTP.
        """
        try:
            for piece in (head + body,) if len(body) <= JOINED_BYTES else (head, body):
                send_whole(self.sock, piece)
        except GONE:
            self._is_half_sent = True  # it may have answered before it stopped reading
        answer = self._read_head()
        self._answers += 1
        return answer

    def _read_head(self) -> tuple[AnswerHead, bytes]:
        data, seen = self._first_bytes(), 0
        for _ in range(MAX_HEADS):
            while (end := data.find(END_OF_HEAD)) < 0:
                if len(data) > MAX_HEAD_BYTES or STRAY.search(data, max(0, seen - 1)):
                    raise UpstreamError  # what came can never become a head
                seen = len(data)
                more = self.sock.recv(READ_BYTES)
                if not more:
                    raise UpstreamError
                data += more
            if end > MAX_HEAD_BYTES:
                raise UpstreamError
            head, data, seen = parse_head(data[:end]), data[end + len(END_OF_HEAD) :], 0
            if not head.is_interim:
                return head, data
        raise UpstreamError

    def _first_bytes(self) -> bytes:
        try:
            data: bytes = self.sock.recv(READ_BYTES)
        except GONE:
            if self._answers:
                raise StaleConnection from None
            raise
        if data:
            return data
        raise StaleConnection if self._answers else ConnectionResetError("no answer")

    def is_stale(self) -> bool:
        """Whether the connection lay idle for too long; only asked of one that is in the pool."""
        return time.monotonic() - self._idle_since > IDLE_SECONDS

    def release(self) -> None:
        """Give the connection back: its answer was read to the end."""
        self._idle_since = time.monotonic()
        if self._is_half_sent:
            self.close()
        else:
            self._pool.put(self)

    def close(self) -> None:
        """End the connection; again without effect."""
        self.sock.close()


class Pool:
    """Connections to one server that wait for their next request; the youngest is used first."""

    def __init__(self, dial: Callable[[], Any]) -> None:
        self._dial = dial
        self._idle: list[Connection] = []

    def urlopen(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], **_: Any
    ) -> Answer:
        """What `requests` asks of a pool: send a request, and read the head of its answer."""
        lines = [f"{method} {url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join(lines).encode("latin-1") + END_OF_HEAD
        if head.count(b"\n") > len(lines) + 1 or head.count(b"\r") > len(lines) + 1:
            raise UpstreamError  # a line end within a field would begin another
        connection = self._take() or Connection(self._dial(), self)
        is_answered = False
        try:
            answer = Answer(connection, *connection.ask(head, body or b""))
            is_answered = True
        finally:
            if not is_answered:
                connection.close()
        return answer

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_stale() and not has_something_to_say(connection.sock):
                return connection
            connection.close()
        return None

    def put(self, connection: Connection) -> None:
        """Keep the connection for another request, where there is room."""
        if len(self._idle) < POOL_SIZE:
            self._idle.append(connection)
        else:
            connection.close()

    def close_idle(self) -> None:
        """Close the connections that will not be used again; the oldest lie in front."""
        while self._idle and self._idle[0].is_stale():
            self._idle.pop(0).close()


class UpstreamAdapter(HTTPAdapter):
    """One pool to one server, whatever a request's URL says; no cookies, proxies or redirects."""

    def __init__(self, base_url: str) -> None:
        super().__init__(max_retries=0)
        self.pool = Pool(choose_dial(base_url))

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> Any:
        """Every request goes to the one server that was configured."""
        return self.pool

    def cert_verify(self, *_args: Any) -> None:
        """Connections are made with their certificates checked."""

    def request_url(self, request: requests.PreparedRequest, _proxies: Any) -> str:
        """The path from the route table, untouched."""
        return str(request.url)

    def build_response(self, _request: requests.PreparedRequest, answer: Any) -> Any:
        """What the pool returned is all that is needed."""
        return answer


def choose_dial(base_url: str) -> Callable[[], Any]:
    """How a new connection to that URL is made: a socket that blocks its greenlet, or an OSError."""
    parts = urlsplit(base_url)
    if parts.scheme == "unix":
        return lambda: connect(socket.AF_UNIX, parts.path)
    host = parts.hostname or ""
    if parts.scheme == "http":
        return lambda: reach(host, parts.port or 80)
    trusted = ssl.create_default_context()  # the system's, with OpenSSL's own SSL_CERT_FILE
    trusted.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return lambda: reach(host, parts.port or 443, trusted)


def reach(host: str, port: int, trusted: ssl.SSLContext | None = None) -> Any:
    """A connection to the first address of the host that takes one, with TLS where it is to be trusted."""
    failure = OSError("no address")
    for family, _type, _protocol, _name, address in resolve(host, port):
        try:
            return connect(family, address, host, trusted)
        except OSError as error:
            failure = error
    raise failure


def resolve(host: str, port: int) -> list[Any]:
    """The addresses of a host, as `getaddrinfo` gives them; of a number without a thread's help."""
    try:
        return list(native_getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def connect(family: int, address: Any, host: str = "", trusted: ssl.SSLContext | None = None) -> Any:
    """A socket that is connected, or none: not even when the wait for it is interrupted."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    is_connected = False
    try:
        sock.settimeout(CONNECT_SECONDS)
        sock.connect(address)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if trusted is not None:  # in two steps: an interrupted handshake would leave a socket to nobody
            sock = trusted.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
            sock.do_handshake()
        sock.settimeout(None)
        is_connected = True
    finally:
        if not is_connected:
            sock.close()
    return sock


def send_whole(sock: Any, data: bytes) -> None:
    """What `sendall` does, without gevent's preparations for what takes several goes."""
    sent = 0
    if not isinstance(sock, ssl.SSLSocket):
        with suppress(BlockingIOError):
            sent = sock._sock.send(data)
    if sent < len(data):
        sock.sendall(memoryview(data)[sent:])


def has_something_to_say(sock: Any) -> bool:
    """Whether an idle connection has bytes, an end or an error to read; returns at once."""
    look = native_poll()
    look.register(sock.fileno(), select.POLLIN)
    return bool(look.poll(0))
