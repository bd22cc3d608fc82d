"""Sends one input on one connection, and judges all that comes back."""

import itertools
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from tests.fuzz.inputs import Input
from tests.fuzz.judge import judge
from tests.fuzz.reading import Broken, Message, Partial, Requests, read_answer, read_requests

PATIENCE = 20.0  # for an answer, on a machine that has much to do
PROBE = b"GET /health/live HTTP/1.1\r\nHost: g\r\n\r\n"
CLOSES = b"close"
CLIENTS = itertools.count()


@dataclass
class Outcome:
    """What became of an input."""

    answers: list[Message] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[int]:
        """How often each status came."""
        return Counter(int(answer.start[1]) for answer in self.answers)

    @property
    def has_closed(self) -> bool:
        """Whether the last answer says that no other follows."""
        return bool(self.answers) and self.answers[-1].field(b"connection") == CLOSES


class Conversation:
    """One connection, read by the letter."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), PATIENCE, (fresh_address(), 0))
        self.buffer = b""
        self.is_over = False

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._sock.close()

    def send(self, data: bytes) -> None:
        """Send it, unless the gateway has closed already."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._sock.sendall(data)

    def end(self) -> None:
        """Send nothing more."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def receive(self) -> None:
        """Some more bytes. Raises TimeoutError or ConnectionResetError."""
        data = self._sock.recv(65536)
        self.buffer += data
        self.is_over = not data

    def answer(self, *, is_for_head: bool) -> Message | None:
        """The next whole answer; None when the connection ended before one. Raises Broken."""
        while True:
            with suppress(Partial):
                message, rest = read_answer(self.buffer, is_for_head=is_for_head)
                if is_for_head or message.has_length or self.is_over:
                    self.buffer = rest
                    return message
            if self.is_over:
                return None
            self.receive()


def fresh_address() -> str:
    """An address of this machine that has not been used lately: each client is another."""
    number = next(CLIENTS)
    return f"127.{1 + number // 62_500 % 250}.{1 + number // 250 % 250}.{1 + number % 250}"


def play(port: int, sent: Input) -> Outcome:
    """Play an input, and judge what comes back."""
    outcome = Outcome()
    try:
        with Conversation(port) as talk:
            converse(talk, sent, outcome)
    except TimeoutError:
        outcome.problems.append("silence")
    except ConnectionResetError:
        outcome.problems.append("a reset")
    except ConnectionRefusedError:
        outcome.problems.append("nobody listens")
    except Broken as error:
        outcome.problems.append(f"no HTTP: {error}")
    for answer, target in zip(outcome.answers, targets_of(sent.data), strict=False):
        outcome.problems += judge(answer, sent.expected, target)
    return outcome


def targets_of(data: bytes) -> Iterator[bytes | None]:
    """What was asked for by each request, and then, as of what is no request, nothing."""
    yield from (request.start[2] for request in read_requests(data).whole)
    while True:
        yield None


def converse(talk: Conversation, sent: Input, outcome: Outcome) -> None:
    """Send all of it, and take what comes."""
    requests = read_requests(sent.data)
    for piece in sent.pieces:
        talk.send(piece)
        time.sleep(sent.pause)
    take_answers(talk, requests, outcome)
    take_rest(talk, requests, outcome)


def take_answers(talk: Conversation, requests: Requests, outcome: Outcome) -> None:
    """An answer for each whole request, up to one that says it is the last."""
    for method in requests.methods:
        answer = talk.answer(is_for_head=method == b"HEAD")
        if answer is None:
            outcome.problems.append(f"{len(outcome.answers)} answers to {len(requests.whole)} requests")
            return
        outcome.answers.append(answer)
        if outcome.has_closed:
            return


def take_rest(talk: Conversation, requests: Requests, outcome: Outcome) -> None:
    """Behind them: one answer at most to what was no whole request; else a connection to go on with."""
    if not requests.has_rest and not outcome.has_closed and not talk.is_over:
        talk.send(PROBE)
        probe = talk.answer(is_for_head=False)
        if probe is None or probe.start[1] != b"200":
            outcome.problems.append("a kept connection that does not serve")
    talk.end()
    if requests.has_rest and not outcome.has_closed:
        answer = talk.answer(is_for_head=False)
        if answer is None and talk.buffer and requests.rest_is_head:
            answer = talk.answer(is_for_head=True)
        outcome.answers += [answer] if answer else []
    while not talk.is_over:
        talk.receive()
    if talk.buffer:
        outcome.problems.append(f"stray bytes: {talk.buffer[:100]!r}")
