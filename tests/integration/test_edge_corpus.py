"""Raw requests, one by one: what each may come to, and nothing else."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import pytest

from tests.client import RawClient
from tests.fake_vllm import FakeVllm, FakeVllmThread
from tests.gateway import KEYS_OF_TESTS, Gateway
from tests.oracle import check_error_shape
from tests.raw_framing import CHUNKED, FRAMINGS
from tests.raw_requests import GOOD, HEADS, Raw, request

PATIENCE = 3.0  # seconds for all of one case: no limit of the gateway is waited for
HEAD_SECONDS = 10.0


@dataclass
class Edge:
    """A gateway of one worker and its own upstream: what is logged and received belongs to one case."""

    gateway: Gateway
    fake: FakeVllm

    def contacts(self) -> int:
        """How many requests have reached the upstream; probes are not meant."""
        return sum(received.target != "/health" for received in self.fake.received)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("edge")
    with FakeVllmThread() as upstream, Gateway(folder, upstream.url, WEB_CONCURRENCY=1) as gateway:
        gateway.wait_ready()
        yield Edge(gateway, upstream.fake)


@dataclass
class Answer:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def method_and_target(data: bytes, number: int) -> tuple[str, str]:
    """Of the first request, if it can be told; the shape of errors follows from it."""
    words = data.split(b"\r\n")[0].decode("latin-1").split(" ")
    return (words[0], words[1]) if number == 0 and len(words) > 1 else ("", "")


def read_answers(client: RawClient, raw: Raw) -> tuple[list[Answer], int]:
    """Every answer to the end of the connection, and how many consents to go on came between."""
    answers: list[Answer] = []
    interims = 0
    while len(answers) < len(raw.answers):
        if client.read_head() == 100:
            interims += 1
            continue
        is_head = method_and_target(raw.data, len(answers))[0] == "HEAD"
        body = b"" if is_head else client.read_body()
        assert is_head or client.is_whole
        answers.append(Answer(client.status, client.headers, body))
    return answers, interims


def check_answer(answer: Answer, target: str, *, is_head: bool) -> None:
    """What every answer has, and every error."""
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"].startswith("req_")
    assert not {"server", "location", "set-cookie", "via", "x-powered-by"} & set(answer.headers)
    assert not KEYS_OF_TESTS.search(answer.body)
    assert answer.status < 300 or answer.status >= 400
    if answer.status >= 400 and not is_head:
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        check_error_shape(json.loads(answer.body), target)


def send(client: RawClient, raw: Raw) -> None:
    with suppress(ConnectionError):  # refused before all of it was sent
        client.sock.sendall(raw.data)
    if raw.ends:
        client.sock.shutdown(1)


@pytest.mark.parametrize("raw", [*HEADS, *FRAMINGS], ids=lambda raw: raw.name)
def test_a_raw_request_comes_to_what_it_must(edge: Edge, raw: Raw) -> None:
    contacts, offset = edge.contacts(), edge.gateway.log_file.stat().st_size
    started = time.monotonic()
    with edge.gateway.connect() as client:
        client.sock.settimeout(PATIENCE)
        send(client, raw)

        answers, interims = read_answers(client, raw)
        if raw.is_malformed:
            assert answers[-1].headers["connection"] == "close"
        elif not raw.ends:
            client.sock.shutdown(1)  # all is answered: the gateway closes once it has seen the end
        assert client.read_to_end() == b""
        assert time.monotonic() - started < PATIENCE

    assert all(a.status in allowed for a, allowed in zip(answers, raw.answers, strict=True)), answers
    assert interims == raw.interims
    assert edge.contacts() - contacts == raw.contacts
    for number, answer in enumerate(answers):
        method, target = method_and_target(raw.data, number)
        check_answer(answer, target, is_head=method == "HEAD")
    check_log(edge.gateway, offset, answers)


def check_log(gateway: Gateway, offset: int, answers: list[Answer]) -> None:
    """Exactly one line for each answer, in their order, and no other."""
    with gateway.log_file.open("rb") as log:
        log.seek(offset)
        lines = [json.loads(line) for line in log.read().splitlines()]
    told = [(line["message"], line["request_id"], line["status"]) for line in lines]
    assert told == [("request", answer.headers["x-request-id"], answer.status) for answer in answers]


SLOW = {
    "one byte": b"G",
    "half a line": GOOD[:10],
    "a line": GOOD[: GOOD.index(b"\r\n") + 2],
    "fields": GOOD[: GOOD.index(b"\r\n\r\n") + 2],
    "a CR": b"GET / HTTP/1.1\r",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "half a body": GOOD[:-3],
    "no body": GOOD[: GOOD.index(b"\r\n\r\n") + 4],
    "a second head": GOOD + GOOD[:30],
}
TRICKLED = {
    "a head": b"GET / HTTP/1.1\r\nHost: g\r\nX: ",
    "a second head": GOOD + b"GET / HTTP/1.1\r\nX: ",
    "a body": request(b"Content-Length: 99"),
    "a chunk": request(CHUNKED, body=b"fff\r\n"),
    "the extension of a chunk": request(CHUNKED, body=b"1;"),
    "a trailer": request(CHUNKED, body=b"0\r\nX: "),
}


def wait_for_408(edge: Edge, data: bytes, trickle: bool) -> float:
    """How long the gateway waits for the rest, which never comes, or comes a byte a second."""
    with edge.gateway.connect() as client:
        client.sock.settimeout(1.0 if trickle else HEAD_SECONDS + PATIENCE)
        client.sock.sendall(data)
        if data.startswith(GOOD):
            assert client.read_head() == 200
            client.read_body()
        started = time.monotonic()
        while True:
            try:
                assert client.read_head() == 408
                break
            except TimeoutError:
                client.sock.sendall(b"x")
        seconds = time.monotonic() - started
        assert json.loads(client.read_body())["error"]["code"] == "request_timeout"
        assert client.headers["connection"] == "close"
        edge.gateway.log_line(request_id=client.request_id, status=408)
        return seconds


def test_what_does_not_go_on_is_a_408_after_ten_seconds_however_slowly_it_comes(edge: Edge) -> None:
    cases = [(data, False) for data in SLOW.values()] + [(data, True) for data in TRICKLED.values()]
    contacts = edge.contacts()

    with ThreadPoolExecutor(len(cases)) as pool:
        waited = list(pool.map(lambda case: wait_for_408(edge, *case), cases))

    assert all(HEAD_SECONDS - 1 < seconds < HEAD_SECONDS + 1.5 for seconds in waited), waited
    assert edge.contacts() - contacts == sum(data.startswith(GOOD) for data, _ in cases)
