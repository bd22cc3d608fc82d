"""HTTP/1.1 body framings, as bytes in and body out (RFC 9112 sections 6 and 7)."""

import re
from typing import Protocol

from app.broken import UpstreamLost

CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?")
MAX_LINE_BYTES = 8192
LAST_CHUNK = b"0\r\n\r\n"


class Decoder(Protocol):
    """Takes what the upstream sent and gives the body; `done` once the body is whole."""

    done: bool
    surplus: bool  # bytes came after the end: the connection must not be used again

    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`. Raises UpstreamLost when the framing is violated."""

    def end(self) -> None:
        """The connection ended. Raises UpstreamLost when the body was not whole."""


class LengthDecoder:
    """A body of a known length."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`."""
        self.surplus = len(data) > self._left
        body = data[: self._left]
        self._left -= len(body)
        self.done = self._left == 0
        return body

    def end(self) -> None:
        """Nothing may be missing."""
        if not self.done:
            raise UpstreamLost


class CloseDecoder:
    """A body that ends with its connection."""

    def __init__(self) -> None:
        self._is_empty = True
        self.done = False
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        """All of it is body."""
        self._is_empty = self._is_empty and not data
        return data

    def end(self) -> None:
        """The end of the connection is the end of the body.

        Without a single byte it is more likely the end of a head that broke off.
        """
        if self._is_empty:
            raise UpstreamLost
        self.done = True


class ChunkedDecoder:
    """A body in chunks; extensions and trailers are dropped."""

    def __init__(self) -> None:
        self._held = b""  # an unfinished line, with the CRLF that must come before it
        self._left = 0  # bytes of the current chunk that have not come yet
        self._line_follows_data = False
        self._in_trailer = False
        self.done = False
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`."""
        if self._held:
            data = self._held + data
            self._held = b""
        parts: list[bytes] = []
        position = 0
        while position < len(data):
            if self.done:
                self.surplus = True
                break
            if self._left:
                piece = data[position : position + self._left]
                parts.append(piece)
                position += len(piece)
                self._left -= len(piece)
                self._line_follows_data = not self._left
            else:
                line_end = self._line(data, position)
                if line_end < 0:
                    break
                position = line_end
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _line(self, data: bytes, start: int) -> int:
        """Read one size or trailer line; returns where it ends, or -1 when it is unfinished."""
        begin = start
        if self._line_follows_data:
            if not b"\r\n".startswith(data[start : start + 2]):
                raise UpstreamLost
            begin += 2
        end = data.find(b"\r\n", begin)
        if end < 0:
            self._held = data[start:]
            if len(self._held) > MAX_LINE_BYTES:
                raise UpstreamLost
            return -1
        self._line_follows_data = False
        self._take_line(data[begin:end])
        return end + 2

    def _take_line(self, line: bytes) -> None:
        if self._in_trailer:
            self.done = not line
            return
        match = CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise UpstreamLost
        self._left = int(match[1], 16)
        self._in_trailer = self._left == 0

    def end(self) -> None:
        """The last chunk must have come."""
        if not self.done:
            raise UpstreamLost


def encode_chunk(data: bytes) -> bytes:
    """`data` as one chunk; nothing for nothing, since an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
