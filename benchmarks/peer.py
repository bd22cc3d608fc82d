"""One connection of the scripted upstream: the requests that come on it, and the stream that leaves."""

import re
import socket

from benchmarks.answers import END, END_WITH_USAGE, Wish, event_block, stamped_event

LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)")
ASKS_FOR_USAGE = re.compile(rb'"include_usage":\s?true')


class Stream:
    """What is left of a streamed answer."""

    __slots__ = ("block", "end", "left", "wish")

    def __init__(self, wish: Wish, body: bytes) -> None:
        self.wish = wish
        self.end = END_WITH_USAGE if ASKS_FOR_USAGE.search(body) else END
        self.block = event_block(wish.size, wish.writes)
        event_bytes = 1 if wish.interval else len(stamped_event(wish.size, 0.0))
        self.left = wish.events * event_bytes  # events where they are paced, bytes at full speed

    def piece(self) -> memoryview:
        """What may be sent next at full speed; the last block ends where the last event does."""
        start = -self.left % len(self.block)
        return self.block[start : start + self.left]


class Peer:
    """A connection."""

    __slots__ = ("queue", "received", "sock", "stream", "wants_out")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""
        self.queue = b""  # what the kernel did not take yet
        self.stream: Stream | None = None
        self.wants_out = False

    @property
    def is_fast(self) -> bool:
        """Whether a stream at full speed runs on it."""
        return self.stream is not None and not self.stream.wish.interval

    def take_request(self) -> tuple[bytes, bytes] | None:
        """The head and the body of the next request, once it has come wholly."""
        head_end = self.received.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        length = LENGTH.search(self.received, 0, head_end)
        end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self.received) < end:
            return None
        head, body = self.received[:head_end], self.received[head_end + 4 : end]
        self.received = self.received[end:]
        return head, body
