"""The load generator: one loop over epoll that drives many connections and looks at every answer."""

import re
import select
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from benchmarks.bodies import Request
from benchmarks.wire import Answer, BrokenAnswer

READ_BYTES = 256 * 1024
STAMP = re.compile(rb"@(\d{10}\.\d{6})@")
STAMP_BYTES = 19
TICK_SECONDS = 0.02  # how often a condition is looked at that no answer makes true
MOST_ERRORS = 200  # then a subject is given up: it could refuse for ever


class GivenUp(Exception):
    """Too much of what came was wrong."""


@dataclass
class Tally:
    """What came in one window; times in seconds."""

    events: int = 0
    answers: int = 0
    latencies: list[float] = field(default_factory=list)  # from the request to the whole answer
    ttfts: list[float] = field(default_factory=list)  # from the request to the first byte of the body
    ages: list[float] = field(default_factory=list)  # of events when they came, since they were sent


class Connection:
    """One connection, and the request on it."""

    __slots__ = ("answer", "asked_at", "has_begun", "number", "request", "sock", "text")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.number = sock.fileno()
        self.request: Request | None = None
        self.answer = Answer()
        self.asked_at = 0.0
        self.has_begun = False  # a byte of the body has come
        self.text = b""  # the end of what has come, in which a stamp may have begun

    def close(self) -> None:
        """At once, whatever is on its way."""
        self.sock.close()


class Crowd:
    """Many connections to one port. What is wrong with an answer is counted by its kind in `errors`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._epoll = select.epoll()
        self.open: dict[int, Connection] = {}
        self.tally = Tally()
        self.errors: Counter[str] = Counter()
        self.on_end: Callable[[Connection], None] | None = None  # after each answer, and each that broke
        self.on_data: Callable[[Connection], None] | None = None

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_exc: object) -> None:
        for connection in list(self.open.values()):
            self.leave(connection)
        self._epoll.close()

    def connect(self) -> Connection:
        """A new connection."""
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(5)
        sock.connect(("127.0.0.1", self._port))
        sock.setblocking(False)
        connection = Connection(sock)
        self.open[connection.number] = connection
        self._epoll.register(sock, select.EPOLLIN)
        return connection

    def ask(self, request: Request, connection: Connection | None = None) -> Connection:
        """Send a request, on a connection of its own unless one is given; the time counts from here."""
        now = monotonic()
        if connection is None or connection.number not in self.open:
            connection = self.connect()
        connection.request, connection.asked_at = request, now
        connection.answer, connection.has_begun, connection.text = Answer(), False, b""
        try:
            sent = connection.sock.send(request.raw)
        except OSError as error:
            self._fail(connection, type(error).__name__)
            return connection
        if sent < len(request.raw):  # a prompt larger than the kernel's buffer
            connection.sock.settimeout(5)
            connection.sock.sendall(request.raw[sent:])
            connection.sock.setblocking(False)
        return connection

    def leave(self, connection: Connection) -> float:
        """Close it, whatever it does; returns when that was."""
        del self.open[connection.number]
        now = monotonic()
        connection.close()
        return now

    @property
    def waiting(self) -> int:
        """Requests whose answers have not ended."""
        return sum(connection.request is not None for connection in self.open.values())

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Read what comes, for so long or until the condition holds; whether it does."""
        deadline = monotonic() + seconds
        while True:
            if until is not None and until():
                return True
            left = deadline - monotonic()
            if left <= 0:
                return False
            for number, _ in self._epoll.poll(min(left, TICK_SECONDS)):
                connection = self.open.get(number)
                if connection is not None:
                    self._read(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(connection, type(error).__name__)
            return
        now = monotonic()
        if not data and connection.request is None:
            self.leave(connection)  # an idle connection may be closed
        elif not data:
            self._fail(connection, "closed")
        else:
            self._try(connection, data, now)

    def _try(self, connection: Connection, data: bytes, now: float) -> None:
        try:
            self._take(connection, data, now)
        except BrokenAnswer as error:
            self._fail(connection, str(error))

    def _take(self, connection: Connection, data: bytes, now: float) -> None:
        answer, request, tally = connection.answer, connection.request, self.tally
        if request is None:
            raise BrokenAnswer("bytes that nobody asked for")
        events = answer.events
        body = answer.feed(data)
        tally.events += answer.events - events
        if body and not connection.has_begun:
            connection.has_begun = True
            tally.ttfts.append(now - connection.asked_at)
        if request.is_stamped:
            self._note_ages(connection, body, now)
        if answer.is_whole:
            tally.answers += 1
            tally.latencies.append(now - connection.asked_at)
            if answer.closes:
                self.leave(connection)
            self._end(connection, request.fault(answer))
        elif self.on_data is not None:
            self.on_data(connection)

    def _note_ages(self, connection: Connection, body: bytes, now: float) -> None:
        text = connection.text + body
        last = 0
        for match in STAMP.finditer(text):
            self.tally.ages.append(now - float(match[1]))
            last = match.end()
        connection.text = text[max(last, len(text) - STAMP_BYTES) :]

    def _fail(self, connection: Connection, fault: str) -> None:
        """The answer broke, and its connection with it."""
        self.leave(connection)
        self._end(connection, fault)

    def _end(self, connection: Connection, fault: str) -> None:
        connection.request = None
        if fault:
            self.errors[fault] += 1
            if self.errors.total() > MOST_ERRORS:
                raise GivenUp(str(self.errors.most_common(3)))
        if self.on_end is not None:
            self.on_end(connection)
