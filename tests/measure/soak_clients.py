"""The clients of the soak: each request knows what was injected into it, and so what must come of it."""

import random
import select
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.client import KEY, RawClient
from tests.gateway import chat_body

IDLE_SECONDS, STALL_SECONDS, FIRST_BYTE_SECONDS = 2, 3, 3  # the gateway's limits in a soak
THINK_SECONDS = 0.2
KEEP = 0.5  # of the answers that leave a connection open, so many are followed by another request on it
WHOLE = {  # a streamed route, and how its last event looks
    "/v1/chat/completions": b"data: [DONE]\n\n",
    "/v1/completions": b"data: [DONE]\n\n",
    "/v1/messages": b"message_stop",
    "/v1/responses": b"response.completed",
}
PLAIN = (*WHOLE, "/v1/messages/count_tokens", "/v1/embeddings", "/tokenize", "/detokenize")
LOST = b"The upstream connection was lost."  # the text, which every API's error has
FAULTS: dict[str, bytes] = {  # and what the client is told
    "reset": LOST,
    "close": LOST,
    "half_event": LOST,
    "hang": b"The model server stopped sending.",
    "error_event": b"engine died",
}
FLOOD = {"events": 1_000_000_000, "event_bytes": 16 * 1024}


@dataclass(frozen=True)
class Case:
    """One request, and what must come of it."""

    name: str
    method: str = "POST"
    target: str = "/v1/chat/completions"
    fields: dict[str, Any] = field(default_factory=dict)
    key: str = KEY
    status: int = 200
    is_whole: bool = True
    holds: bytes = b""  # what the body must hold

    def problem(self, client: RawClient, body: bytes) -> str:
        """What is wrong with the answer, or nothing."""
        if client.status != self.status:
            return f"{client.status} instead of {self.status}"
        if client.is_whole != self.is_whole:
            return "broken, and nothing was injected" if self.is_whole else "whole, and it should be broken"
        return "" if self.holds in body else f"without {self.holds!r}"


def streamed(dice: random.Random) -> Case:
    """A stream of any API."""
    target = dice.choice(list(WHOLE))
    fake = {"events": dice.randrange(1, 60), "interval": dice.choice((0, 0.002, 0.02))}
    return Case("stream", target=target, fields={"stream": True, "fake": fake}, holds=WHOLE[target])


def plain(dice: random.Random) -> Case:
    """An answer that is not streamed."""
    fake = {"event_bytes": dice.choice((0, 1000, 300_000)), "framing": dice.choice(("chunked", "length"))}
    return Case("plain", target=dice.choice(PLAIN), fields={"stream": False, "fake": fake})


def broken(dice: random.Random) -> Case:
    """A stream with a fault."""
    failure = dice.choice(list(FAULTS))
    fake = {
        "fail_after": dice.randrange(1, 5),
        "failure": failure,
        "framing": dice.choice(("chunked", "close")),
    }
    fields = {"stream": True, "fake": fake}
    return Case(
        failure, target=dice.choice(list(WHOLE)), fields=fields, is_whole=False, holds=FAULTS[failure]
    )


def broken_plain(dice: random.Random) -> Case:
    """Half of a plain answer."""
    fake = {"fail_after": 1, "failure": dice.choice(("reset", "close"))}
    return Case("half an answer", fields={"stream": False, "fake": fake}, is_whole=False)


def refused(dice: random.Random) -> Case:
    """An error of the upstream's own."""
    status = dice.choice((400, 500, 503))
    fake = {"status": status, "body": '{"error": {"message": "injected", "code": 1}}'}
    fields = {"stream": dice.random() < 0.5, "fake": fake}
    return Case(f"upstream's {status}", fields=fields, status=status, holds=b"injected")


def silent(_dice: random.Random) -> Case:
    """An upstream that never answers."""
    return Case("silent", fields={"stream": True, "fake": {"before_head": 600}}, status=504)


def wrong_key(_dice: random.Random) -> Case:
    """A key that nobody has."""
    return Case("wrong key", key="sk-wrong", fields={"stream": True}, status=401)


def unknown_route(_dice: random.Random) -> Case:
    """A route that does not exist."""
    return Case("unknown route", target="/v1/nothing", status=404)


def models(_dice: random.Random) -> Case:
    """The list of models."""
    return Case("models", method="GET", target="/v1/models", holds=b"fake/model-1")


MIX: dict[Callable[[random.Random], Case], int] = {
    streamed: 45,
    plain: 20,
    broken: 8,
    broken_plain: 3,
    refused: 4,
    silent: 1,
    wrong_key: 4,
    unknown_route: 2,
    models: 3,
}
LEAVE_WEIGHT, STALL_WEIGHT = 9, 1


class Client:
    """One of many; its own seed makes its sequence of requests."""

    def __init__(self, port: int, seed: str, stop: threading.Event) -> None:
        self._port = port
        self._dice = random.Random(seed)
        self._stop = stop
        self._kept: RawClient | None = None
        self.outcomes: Counter[str] = Counter()
        self.problems: list[str] = []

    def run(self) -> None:
        """Until told to stop."""
        deeds = [*MIX, self._leave, self._stall]
        weights = [*MIX.values(), LEAVE_WEIGHT, STALL_WEIGHT]
        while not self._stop.wait(self._dice.random() * THINK_SECONDS):
            (deed,) = self._dice.choices(deeds, weights)
            if deed in MIX:
                self._ask(deed(self._dice))
            else:
                deed()
        self._drop()

    def _ask(self, case: Case) -> None:
        client = self._kept or RawClient(self._port)
        self._kept = client
        try:
            body = exchange(client, case)
            problem = case.problem(client, body)
        except (OSError, AssertionError) as error:
            problem = f"{type(error).__name__}: {error}"[:200]
            client.is_whole = False
        self.outcomes[case.name] += 1
        if problem:
            self.problems.append(f"{time.strftime('%H:%M:%S')} {case.name} on {case.target}: {problem}")
        is_last = not client.is_whole or client.headers.get("connection") == "close"
        if is_last or self._dice.random() > KEEP:
            self._drop()

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.sock.close()
            self._kept = None

    def _leave(self) -> None:
        """Close in the middle, in any phase."""
        when, phase = self._dice.random() * 0.4, self._dice.choice(("before_head", "before_first_event"))
        fake = self._dice.choice(({phase: 600}, {"events": 1000, "interval": 0.005}))
        with RawClient(self._port) as client:
            client.send_request("POST", "/v1/chat/completions", chat_body(stream=True, fake=fake))
            self._stop.wait(when)
        self.outcomes["left"] += 1

    def _stall(self) -> None:
        """Read nothing, and be cut."""
        with RawClient(self._port, receive_buffer=4096) as client:
            client.send_request("POST", "/v1/chat/completions", chat_body(stream=True, measure=FLOOD))
            poll = select.poll()
            poll.register(client.sock, 0)  # only errors and hang-ups
            if not poll.poll(1000 * (STALL_SECONDS + 10)):
                self.problems.append("a client that never reads was not cut")
        self.outcomes["never read"] += 1


def exchange(client: RawClient, case: Case) -> bytes:
    """Send the request and read what comes, a reset included."""
    body = None if case.method == "GET" else {**chat_body(stream=False), **case.fields}
    client.send_request(case.method, case.target, body, X_API_Key=case.key)
    client.read_head()
    pieces = []
    try:
        pieces += client.body()
    except ConnectionError:
        client.is_whole = False
    return b"".join(pieces)
