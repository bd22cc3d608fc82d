"""HTTP/1.1 body framings, as bytes in and body out (RFC 9112 sections 6 and 7)."""

import re
from functools import lru_cache
from typing import Protocol

from app.broken import UpstreamLost

CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?")
MAX_LINE_BYTES = 8192
USUAL_LINE_BYTES = 8
LINE_END = b"\r\n"
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
        self._held = b""  # an unfinished line, or half the line end behind a chunk's data
        self._left = 0  # bytes of the current chunk that have not come yet
        self._line_end_is_due = False  # the chunk's data has come, the CRLF behind it has not
        self._in_trailer = False
        self.done = False
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`."""
        if self._held:
            data = self._held + data
            self._held = b""
        parts: list[bytes] = []
        is_between = not (self._left or self._line_end_is_due or self._in_trailer)
        position = take_whole_chunks(data, parts) if is_between else 0
        length = len(data)
        while position < length and not self.done:
            if self._left:
                stop = position + self._left
                parts.append(data[position:stop])
                self._left = max(0, stop - length)
                self._line_end_is_due = not self._left
                position = stop
            elif self._line_end_is_due:
                position = self._skip_line_end(data, position)
            else:
                position = self._take_line(data, position)
        self.surplus = self.surplus or position < length
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _skip_line_end(self, data: bytes, position: int) -> int:
        found = data[position : position + 2]
        if found == LINE_END:
            self._line_end_is_due = False
        elif found == LINE_END[:1]:
            self._held = found
        else:
            raise UpstreamLost
        return position + 2

    def _take_line(self, data: bytes, position: int) -> int:
        """Read one size or trailer line, if it is whole; returns where to go on."""
        end = data.find(LINE_END, position)
        if end < 0:
            self._held = data[position:]
            if len(self._held) > MAX_LINE_BYTES:
                raise UpstreamLost
            return len(data)
        if self._in_trailer:
            self.done = end == position
        else:
            line = data[position:end]
            self._left = usual_size(line) if end - position <= USUAL_LINE_BYTES else chunk_size(line)
            self._in_trailer = not self._left
        return end + 2

    def end(self) -> None:
        """The last chunk must have come."""
        if not self.done:
            raise UpstreamLost


def take_whole_chunks(data: bytes, parts: list[bytes]) -> int:
    """Add the data of the chunks that `data` begins with, and holds to their last byte; where they end.

    Nearly all of a stream comes so; whatever else it may be is left to the decoder's slower way.
    """
    position = 0
    while 0 < (line_end := data.find(LINE_END, position)) <= position + USUAL_LINE_BYTES:
        start = line_end + 2
        size = usual_size(data[position:line_end])
        stop = start + size
        if not size or data[stop : stop + 2] != LINE_END:
            break
        parts.append(data[start:stop])
        position = stop + 2
    return position


def chunk_size(line: bytes) -> int:
    """The size that a chunk's first line tells. Raises UpstreamLost for any other line."""
    match = CHUNK_SIZE.fullmatch(line)
    if match is None:
        raise UpstreamLost
    return int(match[1], 16)


usual_size = lru_cache(maxsize=4096)(chunk_size)  # the events of a stream have much the same few sizes


def encode_chunk(data: bytes) -> bytes:
    """`data` as one chunk; nothing for nothing, since an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
