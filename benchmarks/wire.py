"""Answers as the load generator sees them: just enough HTTP to check them, at a fraction of their cost.

A framing is told from a body by its carriage returns, since neither JSON nor vLLM's events have any.
"""

import re

EVENT_END = b"\n\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")
FRAME = re.compile(rb"\r\n(?!0+\r\n)[0-9a-fA-F]+\r\n")  # between two chunks
LAST_FRAME = re.compile(rb"\r\n0+\r\n\r\n")
FRAME_BYTES = 32  # more than the longest of either


class BrokenAnswer(Exception):
    """The bytes are no answer that was expected."""


class Answer:
    """One answer, as its bytes come."""

    __slots__ = (
        "_carry",
        "_is_chunked",
        "_last",
        "_length",
        "body_bytes",
        "closes",
        "events",
        "is_whole",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0  # 0 until the head has come
        self.is_whole = False
        self.closes = False  # the connection is of no use afterwards
        self.body_bytes = 0  # without framing
        self.events = 0  # ends of events that have come
        self._carry = b""  # what cannot be read yet: of the head, or of a frame
        self._is_chunked = False
        self._length = -1
        self._last = b""  # the body's last byte: an event's end may come in two pieces

    def feed(self, data: bytes) -> bytes:
        """Take what has come; returns the bytes of the body in it. BrokenAnswer when it cannot be one."""
        if self._carry:
            data, self._carry = self._carry + data, b""
        if not self.status:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._carry = data
                return b""
            self._read_head(data[:end].lower())
            # A chunk's size follows the head as it follows another chunk: behind an end of line.
            data = data[end + 2 if self._is_chunked else end + 4 :]
        body = self._unframe(data) if self._is_chunked else data
        self._count(body)
        return body

    def _read_head(self, head: bytes) -> None:
        if not head.startswith(b"http/1.1 "):
            raise BrokenAnswer(f"no head: {head[:40]!r}")
        self.status = int(head[9:12])
        self.closes = b"\r\nconnection: close" in head
        self._is_chunked = b"\r\ntransfer-encoding: chunked" in head
        length = LENGTH.search(head)
        if length is not None:
            self._length = int(length[1])
        elif not self._is_chunked:
            raise BrokenAnswer("an answer without framing")

    def _unframe(self, data: bytes) -> bytes:
        body = FRAME.sub(b"", data)
        cut = body.find(b"\r")
        if cut < 0:
            return body
        rest = body[cut:]
        if LAST_FRAME.fullmatch(rest):
            self.is_whole = True
        elif len(rest) > FRAME_BYTES:
            raise BrokenAnswer(f"no framing: {rest[:40]!r}")
        else:
            self._carry = rest
        return body[:cut]

    def _count(self, body: bytes) -> None:
        if not body:
            self.is_whole = self.is_whole or self._length == 0
            return
        self.events += body.count(EVENT_END) + (self._last == b"\n" and body[:1] == b"\n")
        self._last = body[-1:]
        self.body_bytes += len(body)
        if self._length >= 0:
            self.is_whole = self.body_bytes >= self._length
