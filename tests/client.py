"""A client of the gateway that sees every byte."""

import json
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

CHUNK_LINE = re.compile(rb"([0-9a-fA-F]+)\r\n")
KEY = "sk-test-0123456789abcdef"


class Reply:
    """A whole answer."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def request_id(self) -> str:
        """The gateway's id of the request."""
        return self.headers["x-request-id"]

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def error_code(self) -> str:
        """`error.code` of an error."""
        return str(self.json()["error"]["code"])


class RawClient:
    """A socket, and just enough HTTP to see framing, timing and how a connection ends."""

    def __init__(self, address: int | str, receive_buffer: int = 0, source: str = "") -> None:
        """Connect to a port of this machine, from `source` if given, or to the path of a Unix socket."""
        is_path = isinstance(address, str)
        self.sock = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET)
        if receive_buffer:  # before connecting: what was offered to the peer once cannot be taken back
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(10)
        self.sock.connect(address if is_path else ("127.0.0.1", address))
        self.port: int = 0 if is_path else self.sock.getsockname()[1]
        self.buffer = b""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_whole = False

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.sock.close()

    def send_request(self, method: str, target: str, body: Any = None, **headers: str) -> None:
        """Send one request with the test key; header names use `_` for `-`."""
        content = b"" if body is None else json.dumps(body).encode()
        fields = {"Host": "gateway", "X-API-Key": KEY}
        if body is not None:
            fields |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in fields.items())]
        self.sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

    def _fill(self) -> bool:
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def read_head(self) -> int:
        """Read status and headers; returns the status."""
        while b"\r\n\r\n" not in self.buffer:
            assert self._fill(), f"no head, only {self.buffer!r}"
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        assert first.startswith("HTTP/1.1 "), f"stray bytes before the head: {first!r}"
        self.status = int(first.split(" ")[1])
        pairs = (line.split(": ", 1) for line in lines)
        self.headers = {name.lower(): value for name, value in pairs}
        self.is_whole = False
        return self.status

    @property
    def request_id(self) -> str:
        """The gateway's id of the request."""
        return self.headers["x-request-id"]

    def body(self) -> Iterator[bytes]:
        """Pieces of the body as they come; `is_whole` tells afterwards how it ended."""
        if self.status == 204:
            self.is_whole = True
        elif self.headers.get("transfer-encoding") == "chunked":
            yield from self._chunks()
        else:
            yield from self._plain()

    def _chunks(self) -> Iterator[bytes]:
        while True:
            while not (match := CHUNK_LINE.match(self.buffer)):
                if not self._fill():
                    return
            size = int(match[1], 16)
            while len(self.buffer) < match.end() + size + 2:
                if not self._fill():
                    return
            piece = self.buffer[match.end() : match.end() + size]
            self.buffer = self.buffer[match.end() + size + 2 :]
            if not size:
                self.is_whole = True
                return
            yield piece

    def _plain(self) -> Iterator[bytes]:
        left = int(self.headers.get("content-length", sys.maxsize))
        while left:
            if not self.buffer and not self._fill():
                break
            piece, self.buffer = self.buffer[:left], self.buffer[left:]
            left -= len(piece)
            yield piece
        self.is_whole = left == 0 or "content-length" not in self.headers

    def read_body(self) -> bytes:
        """The rest of the body."""
        return b"".join(self.body())

    def read_to_end(self) -> bytes:
        """Everything until the gateway closes."""
        while self._fill():
            continue
        return self.buffer
