"""Carry an answer's bytes to the client as they come.

The cost of relaying is in the waiting, not in the bytes: a persistent event-loop watcher calls back,
receives and sends without switching greenlets, while the handler's greenlet sleeps to the end.
"""

import logging
import ssl
import time
from collections.abc import Callable
from typing import Any

from gevent.hub import Waiter, get_hub

from app.answer import READ_BYTES, Answer
from app.broken import BrokenStream, ClientGone, ClientStalled, ServerShutdown, UpstreamLost
from app.connection import READ, WRITE, ClientConnection
from app.errors import GatewayError
from app.framing import LAST_CHUNK, encode_chunk
from app.inspector import Inspector
from app.limits import Limits
from app.logs import RequestRecord
from app.watchers import Alarm, IoWatcher

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError)
FAREWELL_SECONDS = 2.0  # how long a client may take to read that its stream broke
COMPLETE, GONE = "complete", "client_gone"
log = logging.getLogger("gateway.relay")


class Relay:
    """One answer on its way. Owns the upstream connection and ends it exactly once.

    It stands in the place of a WSGI body; our worker calls `run`.
    """

    def __init__(self, answer: Answer, inspector: Inspector, limits: Limits, record: RequestRecord) -> None:
        self._answer = answer
        self._decoder = answer.decoder
        self._inspector = inspector
        self._limits = limits
        self._record = record
        self._unsent: bytes | memoryview = b""
        self._is_stalled = False  # the client takes no more, so the upstream is not read
        self._ending: str | None = None  # the outcome, once nothing but unsent bytes is left
        self._outcome: str | None = None
        self._is_parked = False
        self._last_progress = time.monotonic()

    @property
    def is_whole(self) -> bool:
        """Whether the client got the answer to its end."""
        return self._outcome == COMPLETE

    def run(
        self, client: ClientConnection, head: bytes, *, chunked: bool, on_byte: Callable[[float], None]
    ) -> None:
        """Send the head, then the body as it comes; return when the answer has ended.

        `chunked` says how the body is framed for the client; `on_byte` hears when the upstream sent.
        """
        loop = get_hub().loop
        self._client = client
        self._chunked = chunked
        self._on_byte = on_byte
        self._waiter: Any = Waiter()
        self._readable = IoWatcher(loop, self._answer.fileno, READ)
        self._writable = IoWatcher(loop, client.sock.fileno, WRITE)
        self._alarm = Alarm(loop)
        client.sock.setblocking(False)
        try:
            with client.watched(self._interrupt):
                self._start(head)
                if self._outcome is None:
                    self._is_parked = True
                    self._waiter.get()
        finally:
            self._clean_up()

    def _start(self, head: bytes) -> None:
        self._unsent = head
        if self._answer.early or self._decoder.done:
            self._advance(self._answer.early)
        else:
            self._flush()
        if self._outcome is None:
            self._set_alarm()
            if self._ending is None and not self._is_stalled:
                self._readable.start(self._guard, self._on_readable)

    def _clean_up(self) -> None:
        for watcher in (self._readable, self._writable, self._alarm):
            watcher.close()
        self._client.sock.setblocking(True)
        self._record.outcome = self._outcome or GONE
        self._record.usage = self._inspector.account()
        if self.is_whole:
            self._answer.finish()
        else:
            self._answer.close()

    # What the event loop calls; none of it may block

    def _guard(self, step: Callable[[], None]) -> None:
        """Run a callback; what would escape from it would leave the request hanging."""
        try:
            step()
        except Exception:
            log.exception("relay failed", extra={"request_id": self._record.request_id})
            if self._ending is None:
                self._fail(UpstreamLost())
            else:
                self._settle("internal_error")

    def _on_readable(self) -> None:
        try:
            data = self._answer.recv(READ_BYTES)
            self._last_progress = time.monotonic()
            if data:
                self._advance(data)
            else:
                self._reach_end()
            while (
                self._answer.is_tls
                and self._answer.has_pending()
                and not (self._outcome or self._ending or self._is_stalled)
            ):
                self._advance(self._answer.recv(READ_BYTES))
        except WOULD_BLOCK:
            return
        except OSError:
            self._fail(UpstreamLost())

    def _on_alarm(self) -> None:
        due, error = self._next_limit()
        if time.monotonic() < due:
            self._set_alarm()
        elif self._ending is not None or isinstance(error, ClientStalled):
            self._client.reset_on_close()
            self._settle(ClientStalled.code)
        else:
            self._fail(error)

    def _interrupt(self, reason: BaseException) -> None:
        if isinstance(reason, ClientGone):
            self._settle(GONE)
        elif self._ending is None:
            self._fail(ServerShutdown())

    def _advance(self, data: bytes) -> None:
        """Take bytes of the upstream; send what may leave; notice a whole or a broken end."""
        decoder, inspector = self._decoder, self._inspector
        self._on_byte(self._last_progress)
        try:
            body = inspector.feed(decoder.feed(data))
            if decoder.done and inspector.failure is None:
                body += inspector.end()
        except GatewayError as error:
            self._fail(error)
            return
        if inspector.failure is not None:
            self._fail(inspector.failure, body)
        elif decoder.done:
            self._ending = COMPLETE
            self._send(body)
        elif body:
            self._send(body)

    def _reach_end(self) -> None:
        """The upstream closed: the end of a body that is framed by it, else a truncation."""
        try:
            self._decoder.end()
            self._advance(b"")
        except GatewayError as error:
            self._fail(error)

    def _fail(self, error: GatewayError, body: bytes = b"") -> None:
        """Free the upstream; send the last good bytes and the error event, and no end behind them."""
        self._readable.stop()
        self._answer.close()
        self._ending = error.code
        self._last_progress = time.monotonic()
        self._send(body + self._inspector.failure_event(error))
        if self._outcome is None:
            self._set_alarm()

    def _send(self, body: bytes) -> None:
        record = self._record
        record.bytes_out += len(body)
        if body and record.first_byte_at is None:
            record.first_byte_at = time.monotonic()
            if self._ending is None:
                self._set_alarm()
        framed = encode_chunk(body) if self._chunked else body
        if self._chunked and self._ending == COMPLETE:
            framed += LAST_CHUNK
        self._unsent = b"".join((self._unsent, framed)) if self._unsent else framed
        self._flush()

    def _flush(self) -> None:
        """Send what the client takes now; while a rest is left, wait for the client alone."""
        try:
            sent = self._client.raw.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._settle(GONE)
            return
        if sent < len(self._unsent):
            self._unsent = memoryview(self._unsent)[sent:]
            self._wait_for_client(has_moved=sent > 0)
            return
        self._unsent = b""
        if self._ending is not None:
            self._settle(self._ending)
        elif self._is_stalled:
            self._is_stalled = False
            self._writable.stop()
            self._last_progress = time.monotonic()
            self._readable.start(self._guard, self._on_readable)
            self._set_alarm()

    def _wait_for_client(self, *, has_moved: bool) -> None:
        if has_moved or not self._is_stalled:
            self._last_progress = time.monotonic()
        if not self._is_stalled:
            self._is_stalled = True
            self._readable.stop()
            self._writable.start(self._guard, self._flush)
            self._set_alarm()

    def _settle(self, outcome: str) -> None:
        """The answer has ended: stop every watcher and wake the handler."""
        if self._outcome is not None:
            return
        self._outcome = outcome
        for watcher in (self._readable, self._writable, self._alarm):
            watcher.stop()
        if self._is_parked:
            self._waiter.switch(None)

    def _next_limit(self) -> tuple[float, BrokenStream]:
        if self._ending not in (None, COMPLETE):
            return self._last_progress + FAREWELL_SECONDS, ClientStalled()
        has_first_byte = self._record.first_byte_at is not None
        return self._limits.nearest(self._last_progress, self._is_stalled, has_first_byte)

    def _set_alarm(self) -> None:
        """One timer for the whole answer: reads only note the time, and the alarm looks at it."""
        self._alarm.set(self._next_limit()[0], self._guard, self._on_alarm)
