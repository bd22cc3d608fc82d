"""Requests of every kind at once, over kept connections: each gets its own answer, and only that."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tests.client import RawClient
from tests.gateway import Gateway
from tests.raw_framing import CHUNKED, NOTHING, SMUGGLED, WRONG_KEY
from tests.raw_requests import GOOD, bare, request

CLIENTS, ROUNDS = 8, 60


class Talker:
    """One client; its connection is opened anew whenever it has to be."""

    def __init__(self, gateway: Gateway, number: int) -> None:
        self._gateway = gateway
        self._random = random.Random(number)
        self._name = f"client-{number}"
        self._asked = 0
        self._client: RawClient = gateway.connect()

    def talk(self) -> int:
        """Every round a request of some kind; how many answers were this client's own."""
        steps = (
            self._ask,
            self._ask,
            self._ask_in_chunks,
            self._ask_twice,
            self._ask_nothing,
            self._err,
            self._leave,
        )
        for _ in range(ROUNDS):
            self._random.choice(steps)()
        self._client.sock.close()
        return self._asked

    def _body(self) -> bytes:
        self._asked += 1
        script = {
            "events": self._random.randint(1, 40),
            "framing": self._random.choice(("length", "chunked", "close")),
        }
        return json.dumps({"model": f"{self._name}-{self._asked}", "fake": script}).encode()

    def _own(self, number: int) -> None:
        assert self._client.read_head() == 200
        assert json.loads(self._client.read_body())["model"] == f"{self._name}-{number}"
        if self._client.headers["connection"] == "close":
            self._reopen()

    def _reopen(self) -> None:
        self._client.sock.close()
        self._client = self._gateway.connect()

    def _framed(self, body: bytes) -> bytes:
        return request(b"Content-Length: %d" % len(body), body=body)

    def _ask(self) -> None:
        self._client.sock.sendall(self._framed(self._body()))
        self._own(self._asked)

    def _ask_in_chunks(self) -> None:
        body = self._body()
        pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        self._client.sock.sendall(request(CHUNKED, body=chunks + b"0\r\n\r\n"))
        self._own(self._asked)

    def _ask_twice(self) -> None:
        first, second = self._framed(self._body()), self._framed(self._body())
        self._client.sock.sendall(first + second)
        for number in (self._asked - 1, self._asked):
            self._own(number)

    def _ask_nothing(self) -> None:
        self._client.sock.sendall(NOTHING + WRONG_KEY)
        for status in (404, 401):
            assert self._client.read_head() == status
            self._client.read_body()

    def _err(self) -> None:
        odd = (
            bare(),
            request(b"Content-Length: 6", CHUNKED, body=b"0\r\n\r\nG" + SMUGGLED),
            request(body=SMUGGLED),
            b"X\r\n",
        )
        self._client.sock.sendall(self._random.choice(odd))
        assert self._client.read_head() == 400
        self._client.read_body()
        assert self._client.read_to_end() == b""
        self._reopen()

    def _leave(self) -> None:
        with suppress(ConnectionError):
            self._client.sock.sendall(GOOD[: self._random.randrange(len(GOOD))])
        self._reopen()


def test_nobody_ever_gets_an_answer_of_somebody_else(gateway: Gateway) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = list(pool.map(lambda number: Talker(gateway, number).talk(), range(CLIENTS)))

    assert min(asked) > ROUNDS / 3
