"""Many streams of one client process, read by one loop, so that reading them costs little."""

import selectors
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.client import RawClient
from tests.gateway import chat_body

READ_BYTES = 256 * 1024
LAST_CHUNK = b"\r\n0\r\n\r\n"


class Stream(RawClient):
    """One answer: what came of it, when, and how it ended."""

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        super().__init__(port, receive_buffer)
        self.data = bytearray()
        self.opened_at = time.monotonic()
        self.ended_at: float | None = None
        self.ended_with_last_chunk = False
        self.was_reset = False

    def ask(self, *, stream: bool = True, target: str = "/v1/chat/completions", **fields: Any) -> "Stream":
        """Send a request whose answer is the last on the connection; returns itself."""
        self.opened_at = time.monotonic()
        self.send_request("POST", target, chat_body(stream=stream, **fields), Connection="close")
        self.sock.setblocking(False)
        return self

    def read(self) -> None:
        """Take what has come; called when there is something."""
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self.was_reset = True
            data = b""
        now = time.monotonic()
        if data:
            self.take(data, now)
        self.ended_with_last_chunk = self.data.endswith(LAST_CHUNK)
        if not data or self.ended_with_last_chunk:
            self.ended_at = now

    def take(self, data: bytes, now: float) -> None:
        """Keep what came."""
        self.data += data

    @property
    def is_finished(self) -> bool:
        """Whether the answer came to the end that its API and its framing promise."""
        return self.ended_with_last_chunk and b"data: [DONE]" in self.data[-64:]

    @property
    def seconds(self) -> float:
        """From the request to the end."""
        assert self.ended_at is not None
        return self.ended_at - self.opened_at


class Crowd:
    """The loop, and the streams it reads."""

    def __init__(self, streams: Iterable[Stream] = ()) -> None:
        self._selector = selectors.DefaultSelector()
        self.streams: list[Stream] = []
        for stream in streams:
            self.add(stream)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_exc: object) -> None:
        for stream in self.streams:
            stream.sock.close()
        self._selector.close()

    def add(self, stream: Stream) -> Stream:
        """Read this one too, until it has ended."""
        self.streams.append(stream)
        self._selector.register(stream.sock, selectors.EVENT_READ, stream)
        return stream

    def leave(self, stream: Stream) -> float:
        """Close it in the middle; returns when that was."""
        self._selector.unregister(stream.sock)
        left_at = time.monotonic()
        stream.sock.close()
        return left_at

    def read_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Read what comes until the condition holds; False when it did not in time."""
        until = time.monotonic() + seconds
        while not condition():
            left = until - time.monotonic()
            if left <= 0:
                return False
            for key, _ in self._selector.select(min(left, 0.02)):
                stream: Stream = key.data
                stream.read()
                if stream.ended_at is not None:
                    self._selector.unregister(stream.sock)
                    stream.sock.close()
        return True

    def read_for(self, seconds: float) -> None:
        """Read what comes for so long."""
        self.read_until(lambda: False, seconds)

    def read_to_end(self, seconds: float) -> bool:
        """Read until all have ended; False when some did not in time."""
        return self.read_until(lambda: not self._selector.get_map(), seconds)
