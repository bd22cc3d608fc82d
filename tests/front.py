"""A small HTTP proxy in front of a gateway, which changes what passes, or answers in its place."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Headers = dict[str, str]
READ_BYTES = 65536


@dataclass
class Passing:
    """One request on its way; names of headers are in small letters."""

    method: str
    path: str
    headers: Headers
    body: bytes

    @property
    def is_stream(self) -> bool:
        """Whether it asks for a stream."""
        return b'"stream":true' in self.body


@dataclass
class Canned:
    """An answer in the place of the gateway's."""

    status: int
    body: bytes
    headers: Headers = field(default_factory=dict)


@dataclass
class Tampering:
    """What the front does, one kind at a time; without any it is a good proxy."""

    on_request: Callable[[Passing], Canned | None] = lambda passing: None
    on_head: Callable[[Passing, Headers], None] = lambda passing, headers: None
    # The pieces of a body, as they leave.
    on_body: Callable[[Passing, Iterator[bytes]], Iterator[bytes]] = lambda passing, pieces: pieces


class Front:
    """The proxy on a free port, in threads of this process."""

    def __init__(self, gateway_port: int, tampering: Tampering | None = None) -> None:
        self.tampering = tampering or Tampering()
        self.seen: list[Passing] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle(self) -> None:
                with suppress(ConnectionError):
                    super().handle()

            def log_message(self, *_arguments: object) -> None:
                return

            def do_GET(self) -> None:
                front.answer(self, gateway_port)

            do_POST = do_GET  # noqa: N815  the name that the library calls

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Front":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, gateway_port: int) -> None:
        """Pass one request on, or answer it."""
        length = int(handler.headers.get("content-length", 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        passing = Passing(handler.command, handler.path, headers, handler.rfile.read(length))
        self.seen.append(passing)
        canned = self.tampering.on_request(passing)
        if canned is not None:
            send_head(handler, canned.status, {"content-type": "application/json", **canned.headers})
            send_body(handler, iter([canned.body]))
            return
        gateway = http.client.HTTPConnection("127.0.0.1", gateway_port, timeout=20)
        try:
            gateway.request(passing.method, passing.path, passing.body or None, passing.headers)
            with gateway.getresponse() as response:
                self._relay(handler, passing, response)
        finally:
            gateway.close()

    def _relay(
        self, handler: BaseHTTPRequestHandler, passing: Passing, response: http.client.HTTPResponse
    ) -> None:
        own = {name.lower(): value for name, value in response.getheaders()}
        for name in ("content-length", "transfer-encoding", "connection"):
            own.pop(name, None)
        self.tampering.on_head(passing, own)
        send_head(handler, response.status, own)
        pieces = iter(lambda: response.read1(READ_BYTES), b"")
        send_body(handler, self.tampering.on_body(passing, pieces))


def send_head(handler: BaseHTTPRequestHandler, status: int, headers: Headers) -> None:
    """The head of a chunked answer, without any name of the server."""
    handler.send_response_only(status)
    for name, value in {**headers, "transfer-encoding": "chunked"}.items():
        handler.send_header(name, value)
    handler.end_headers()


def send_body(handler: BaseHTTPRequestHandler, pieces: Iterator[bytes]) -> None:
    """The pieces, each when it is there."""
    for piece in filter(None, pieces):
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")
