"""Connections to the upstream: one pool over TCP, TLS or a Unix socket, as a `requests` adapter."""

import http.client
import select
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from gevent.monkey import get_original
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

CONNECT_SECONDS = 2.0
# Below the 5 s of a uvicorn with default settings; vLLM behind our entrypoint keeps them longer.
IDLE_SECONDS = 4.0
MAX_STATUS_LINES = 10  # of one answer: all but the last are interim ones
POOL_SIZE = 1000  # connections kept; more may be open at once
UNIX_HOST = "vllm"
native_poll: Any = get_original("select", "poll")  # gevent's lets other greenlets run, also for no time
native_getaddrinfo: Any = get_original("socket", "getaddrinfo")


class StaleConnection(Exception):
    """A pooled connection was closed by the upstream before it answered with a single byte."""


class _Head(http.client.HTTPResponse):
    """Reading interim answers without end would keep everything else of this worker from running."""

    status_lines = 0

    def _read_status(self) -> tuple[str, int, str]:
        self.status_lines += 1
        if self.status_lines > MAX_STATUS_LINES:
            raise http.client.HTTPException("interim answers without end")
        found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # missing in the stubs
        return found


class _Tracked:
    """A pooled connection that knows whether it was used before and for how long it lay idle."""

    response_class: Any = _Head
    sock: Any
    timeout: Any
    answers = 0
    idle_since = 0.0

    @property
    def is_stale(self) -> bool:
        """Whether the connection lay idle for too long; only asked of one that is in the pool."""
        return self.answers > 0 and time.monotonic() - self.idle_since > IDLE_SECONDS

    @property
    def is_connected(self) -> bool:
        """urllib3 asks before it reuses a connection.

        Its own look at the socket lets other greenlets run, and a client that left meanwhile would take
        the connection out of the pool with nobody to close it.
        """
        return self.sock is not None and not self.is_stale and not has_something_to_say(self.sock)

    def connect(self) -> None:
        """Make the connection anew; urllib3 keeps the object when the socket is gone."""
        self.answers = 0
        super().connect()  # type: ignore[misc]
        self.sock.settimeout(None)

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request. The limit for connecting ends with that: callers bound what follows."""
        if self.sock is not None:
            self.timeout = None
        super().request(*args, **kwargs)  # type: ignore[misc]

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

    def _new_conn(self) -> socket.socket:
        """A connected socket; urllib3's own would be left open when the client leaves meanwhile."""
        try:
            return self._reach()
        except OSError as error:
            raise NewConnectionError(self, f"cannot connect: {error}") from error  # type: ignore[arg-type]

    def _reach(self) -> socket.socket:
        raise NotImplementedError


class _Tcp(_Tracked):
    host: str
    port: int

    def _reach(self) -> socket.socket:
        failure = OSError("no address")
        for family, _type, _protocol, _name, address in resolve(self.host.strip("[]"), self.port):
            try:
                sock = connect(family, address)
            except OSError as error:
                failure = error
            else:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return sock
        raise failure


class PlainConnection(_Tcp, HTTPConnection):
    """TCP without TLS."""


class TlsConnection(_Tcp, HTTPSConnection):
    """TCP with TLS."""


class UnixConnection(_Tracked, HTTPConnection):
    """HTTP over a Unix socket; the pool binds its path in a subclass."""

    socket_path = ""

    def _reach(self) -> socket.socket:
        return connect(socket.AF_UNIX, self.socket_path)


def resolve(host: str, port: int) -> list[Any]:
    """The addresses of a host, as `getaddrinfo` gives them; of a number without a thread's help."""
    try:
        return list(native_getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def has_something_to_say(sock: Any) -> bool:
    """Whether an idle connection has bytes, an end or an error to read; returns at once."""
    look = native_poll()
    look.register(sock.fileno(), select.POLLIN)
    return bool(look.poll(0))


def connect(family: int, address: Any) -> socket.socket:
    """A socket that is connected, or none: not even when the wait for it is interrupted."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    is_connected = False
    try:
        sock.settimeout(CONNECT_SECONDS)
        sock.connect(address)
        is_connected = True
    finally:
        if not is_connected:
            sock.close()
    return sock


class UpstreamAdapter(HTTPAdapter):
    """One pool to one server, whatever a request's URL says; no cookies, proxies or redirects."""

    def __init__(self, base_url: str) -> None:
        super().__init__(max_retries=0)
        self.pool = _make_pool(base_url)

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:
        """Every request goes to the one server that was configured."""
        return self.pool

    def close_idle(self) -> None:
        """Close pooled connections that will not be used again; their slots stay in the pool."""
        for connection in self.pool.pool.queue if self.pool.pool else ():
            if isinstance(connection, _Tracked) and connection.is_stale:
                connection.close()  # type: ignore[attr-defined]

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
        trusted = ssl.create_default_context()  # the system's, with OpenSSL's own SSL_CERT_FILE
        trusted.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        tls = HTTPSConnectionPool(parts.hostname or "", parts.port, maxsize=POOL_SIZE, ssl_context=trusted)
        tls.ConnectionCls = TlsConnection
        return tls
    pool = HTTPConnectionPool(parts.hostname or UNIX_HOST, parts.port, maxsize=POOL_SIZE)
    if parts.scheme == "unix":
        members = {"socket_path": parts.path}
        pool.ConnectionCls = type("BoundUnixConnection", (UnixConnection,), members)
    else:
        pool.ConnectionCls = PlainConnection
    return pool
