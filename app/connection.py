"""The client's side of one connection, as the worker, the proxy and the relay see it."""

import errno
import socket
import struct
import time
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import gevent
from gevent.hub import get_hub

from app.broken import ClientGone
from app.head import END_OF_HEAD, READ_BYTES
from app.interrupts import Interrupt, Watch
from app.logs import RequestRecord
from app.turns import give_turn
from app.unavailable import Overloaded

READ, WRITE = 1, 2  # libev's event flags
READ_AHEAD_BYTES = 64 * 1024
SEND_SECONDS = 60.0
# A refused upload is read on for a moment: a reset could reach the client before our answer.
LINGER_SECONDS, LINGER_BYTES = 2.0, 32 * 1024 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with zero seconds


class Closable(Protocol):
    """Something that must not outlive its request."""

    def close(self) -> None:
        """End it; again without effect."""


Held = TypeVar("Held", bound=Closable)


class ClientConnection:
    """Owns the accepted socket: knows whether a request runs on it, and notices a client that leaves.

    `sock` is a gevent socket; `buffer` is gunicorn's unreader, which keeps what was read too early.
    """

    def __init__(self, sock: Any, buffer: Any) -> None:
        self.sock = sock
        self.raw = sock._sock  # for callbacks of the event loop: gevent's own methods would switch greenlets
        self.buffer = buffer
        self.is_busy = False
        self.is_extra = False  # one more than this worker is meant to carry
        self.is_crowded = False  # there were nearly too many when the request came
        self.is_last = False  # nothing comes behind the request that runs
        self.has_overflowed = False  # more came behind a request than is kept: nothing can follow it
        self.has_served = False
        self.idle_since = time.monotonic()
        self.record: RequestRecord | None = None  # of the last request
        self._held: list[Closable] = []
        self._expects_continue = False
        self._resets = False
        self._reading_is_shut = False
        self._has_ended = False  # the client has closed its side, and nothing that it sent is left
        self._interrupt: Interrupt | None = None
        self._readable = get_hub().loop.io(sock.fileno(), READ)

    @property
    def has_key(self) -> bool:
        """Whether the last request came with a valid key."""
        return self.record is not None and self.record.key_name is not None

    @property
    def is_stoppable(self) -> bool:
        """Whether the request that runs can be ended at this moment."""
        return self._interrupt is not None

    def wait_for_request(self, seconds: float) -> bool:
        """Wait for the first byte of a request; False when none came in time, or none may come any more."""
        if self.has_buffered(1):
            give_turn()  # who sends many requests at once takes turns with the others
            return not self.is_last  # it may have had to go meanwhile
        if not self.has_served and (has_come := self._take_first()) is not None:
            return has_come  # mostly a client's first request is there when its connection is
        patience = gevent.Timeout.start_new(seconds)
        try:
            get_hub().wait(self._readable)
        except gevent.Timeout as expired:
            if expired is not patience:
                raise
            return False
        finally:
            patience.close()
        return self._take_first() is not False

    def _take_first(self) -> bool | None:
        """Read what has come; False where that is the end, None where it is nothing."""
        with suppress(BlockingIOError):
            data = self.raw.recv(READ_BYTES)
            self.buffer.unread(data)
            self._has_ended = not data and not self._reading_is_shut
            return bool(data)
        return None

    def has_buffered_head(self) -> bool:
        """Whether reading the next head will not have to wait."""
        return END_OF_HEAD in self.buffer.buf.getvalue().lstrip(b"\r\n")

    def has_buffered(self, size: int) -> bool:
        """Whether so many bytes have been read from the socket that nobody has asked for yet."""
        return bool(self.buffer.buf.tell() >= size)

    def expect_continue(self) -> None:
        """The client waits for our consent before it sends its body."""
        self._expects_continue = True

    def send_continue(self) -> None:
        """Give that consent, once; called when every check that needs no body has passed."""
        if self._expects_continue:
            self._expects_continue = False
            try:
                self.send_all(CONTINUE)
            except OSError:
                raise ClientGone from None

    def send_all(self, data: bytes) -> None:
        """Send an answer that is not relayed. Raises OSError, also where the client takes it too slowly."""
        sent = 0
        with suppress(BlockingIOError):
            sent = self.raw.send(data)  # mostly all of it: there is nothing to wait for
        if sent < len(data):
            with gevent.Timeout(SEND_SECONDS, TimeoutError(errno.ETIMEDOUT, "client")):
                self.sock.sendall(memoryview(data)[sent:])

    def stoppable(self, interrupt: Interrupt | None = None) -> Watch:
        """Call `interrupt` from the event loop when the worker says stop.

        Without one, what stops is raised in this greenlet, where it waits.
        """
        return Watch(self, interrupt or gevent.getcurrent().throw, is_for_client=False)

    def watched(self, interrupt: Interrupt | None = None) -> Watch:
        """The same, also when the client leaves; one that half-closes counts as gone.

        Start only after the request's body was read.
        """
        return Watch(self, interrupt or gevent.getcurrent().throw, is_for_client=True)

    def begin_watch(self, interrupt: Interrupt, *, is_for_client: bool) -> None:
        """What `Watch` does when it is entered."""
        self._interrupt = interrupt
        if is_for_client:
            self._readable.start(self._on_readable)

    def end_watch(self) -> None:
        """What it does when it is left."""
        self._readable.stop()
        self._interrupt = None

    def interrupt(self, error: BaseException) -> None:
        """Stop the request that runs here, if one can be stopped; returns before it has."""
        get_hub().loop.run_callback(self._deliver, error)

    def _deliver(self, error: BaseException) -> None:
        if self._interrupt is not None:
            self._readable.stop()
            self._interrupt(error)

    def _on_readable(self) -> None:
        try:
            data = self.raw.recv(READ_AHEAD_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._readable.stop()
            if not self._reading_is_shut:
                self._deliver(ClientGone())
            return
        if self.has_overflowed:
            return  # read on all the same: only so is its end seen
        kept = self.buffer.take_buffered() + data
        self.buffer.unread(kept)
        self.has_overflowed = len(kept) > READ_AHEAD_BYTES

    def keep(self, held: Held) -> Held:
        """Close this when the request that runs here is over, whatever happens."""
        self._held.append(held)
        return held

    def end_request(self) -> None:
        """The request is over: what was kept for it ends with it."""
        self._expects_continue = False
        while self._held:
            self._held.pop().close()

    def shut_reading(self) -> None:
        """Make the next read of a request see the end of the connection."""
        self._reading_is_shut = True  # an end that we made tells nothing about the client
        self._shut(socket.SHUT_RD)

    def evict(self) -> None:
        """Give the place to somebody else: an answer that is kept back goes out, whatever else waits ends."""
        self.is_last = True
        if self._interrupt is not None:
            self.interrupt(Overloaded())
            return
        self._resets = self.is_busy  # half a head, or an answer that nobody reads
        self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        with suppress(OSError):
            # The raw socket: gevent's shutdown would raise in the greenlet that waits on it.
            self.raw.shutdown(how)

    def reset_on_close(self) -> None:
        """Close with a reset: where the connection's end ends a body, only that shows a cut."""
        self._resets = True

    def close(self) -> None:
        """Close the socket and free the event loop's watcher."""
        self._readable.close()
        if self._resets:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        elif not self._has_ended:
            self._linger()
        self.sock.close()

    def _linger(self) -> None:
        with suppress(OSError), gevent.Timeout(LINGER_SECONDS, TimeoutError()):
            self.sock.shutdown(socket.SHUT_WR)
            left = LINGER_BYTES
            while left > 0 and (data := self.sock.recv(READ_AHEAD_BYTES)):
                left -= len(data)
                give_turn()  # what comes fast is always there
