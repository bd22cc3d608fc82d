"""Nothing of one answer can reach the next request, whatever the upstream wrote."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.client import RawClient
from tests.fake_vllm import FakeVllm, FakeVllmThread, Received
from tests.gateway import Gateway, wait_until
from tests.oracle import ERROR_STATUSES, Outcome, asked, take

CHAT = "/v1/chat/completions"
POISON = "belongs-to-another-request"
OWN = '{"model": "own"}'


def answer(body: str, *fields: str, status: str = "200 OK", length: int | None = None) -> str:
    """A raw answer with a length."""
    declared = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {declared}", *fields]
    return "\r\n".join([*lines, "", body])


def chunked(body: str, *fields: str) -> str:
    """A raw answer in one chunk."""
    head = ["HTTP/1.1 200 OK", "content-type: application/json", "transfer-encoding: chunked", *fields, ""]
    return "\r\n".join([*head, f"{len(body):x}", body, "0", "", ""])


SECOND = answer(json.dumps({"model": POISON}))
LATER: dict[str, Any] = {"interval": 0.1}
CUT: dict[str, Any] = {"fail_after": 0, "failure": "close"}
RIGHT = {
    "stray bytes behind a length": {"raw": [answer(OWN) + POISON]},
    "stray bytes behind a length, later": {"raw": [answer(OWN), POISON], **LATER},
    "stray bytes behind the last chunk": {"raw": [chunked(OWN) + POISON]},
    "stray bytes behind the last chunk, later": {"raw": [chunked(OWN), POISON], **LATER},
    "two answers with a length": {"raw": [answer(OWN) + SECOND]},
    "two answers with a length, later": {"raw": [answer(OWN), SECOND], **LATER},
    "two answers in chunks": {"raw": [chunked(OWN) + SECOND]},
    "two answers in chunks, later": {"raw": [chunked(OWN), SECOND], **LATER},
    "a body longer than its length": {"raw": [answer(OWN + POISON, length=len(OWN))]},
}
EMPTY = {
    "a 204 with a body": {"raw": [answer(POISON, status="204 No Content")]},
    "a 204 with a second answer": {"raw": [answer("", status="204 No Content") + SECOND]},
    "a 204 with a second answer, later": {"raw": [answer("", status="204 No Content"), SECOND], **LATER},
    "a length of nothing and a body": {"raw": [answer(POISON, length=0)]},
}
SHORT = {
    "a body shorter than its length": {"raw": [answer(OWN, length=99)], **CUT},
    "chunks without the last": {"raw": [chunked(OWN).removesuffix("0\r\n\r\n")], **CUT},
    "a chunk that is too long": {"raw": [chunked(OWN).replace("10\r\n", "9\r\n") + SECOND]},
}
REFUSED = {
    "a length and chunks": {"raw": [chunked(OWN, "content-length: 16")]},
    "two lengths": {"raw": [answer(OWN, "content-length: 99") + SECOND]},
    "a length that is no number": {"raw": [answer(OWN, "x: y").replace("length: 16", "length: 1_6")]},
    "a coding that nobody knows": {"raw": [chunked(OWN).replace("chunked", "gzip, chunked") + SECOND]},
    "a head of 100 KB": {"raw": [answer(OWN, *[f"x-{n}: {'x' * 1000}" for n in range(100)])]},
    "a field of 100 KB": {"raw": [answer(OWN, "x: " + "x" * 100_000)]},
    "a thousand fields": {"raw": [answer(OWN, *["x: y"] * 1000)]},
    "fields that pass, of 100 KB": {"raw": [answer(OWN, *["etag: " + "x" * 2000] * 50)]},
    "one that passes, of 65 KB": {"raw": [answer(OWN, "etag: " + "x" * 65_500)]},
    "no HTTP at all": {"raw": ["SSH-2.0-OpenSSH\r\n"], **CUT},
    "another version of HTTP": {"raw": [answer(OWN).replace("HTTP/1.1", "HTTP/7.7")]},
    "a switch of protocols": {
        "raw": ["HTTP/1.1 101 X\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n" + SECOND]
    },
    "interim answers without end": {"raw": ["HTTP/1.1 100 Continue\r\n\r\n" * 10_000 + answer(OWN)]},
    "a field with an LF in it": {"raw": [answer(OWN, "etag: a\ncontent-length: 1")]},
    "a coding that is named twice": {"raw": [chunked(OWN, "transfer-encoding: chunked")]},
}
INTERIM = {
    "100": {"raw": ["HTTP/1.1 100 Continue\r\n\r\n" + answer(OWN)]},
    "nine of 100": {"raw": ["HTTP/1.1 100 Continue\r\n\r\n" * 9 + answer(OWN)]},
    "102": {"raw": ["HTTP/1.1 102 Processing\r\n\r\n" + answer(OWN)]},
    "103": {"raw": ["HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + answer(OWN)]},
    "103, later": {"raw": ["HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", answer(OWN)], **LATER},
}
LARGE_ERROR = {"status": 500, "body": json.dumps({"error": {"message": POISON * 40_000}})}


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory, upstream: FakeVllmThread) -> Iterator[Gateway]:
    """A gateway of one worker, so that every request finds the connections of the one before."""
    with Gateway(tmp_path_factory.mktemp("single"), upstream.url, WEB_CONCURRENCY=1) as running:
        running.wait_ready()
        yield running


class Conversation:
    """One client connection that is opened anew when the gateway closes it."""

    def __init__(self, gateway: Gateway, fake: FakeVllm) -> None:
        self._gateway = gateway
        self._fake = fake
        self.client: RawClient = gateway.connect()

    def ask(self, model: str, *, stream: bool = False, **script: Any) -> tuple[Outcome, Received]:
        """One request; what came back, and the upstream's side of it once that has ended."""
        self.client.send_request("POST", CHAT, asked(stream, model, **script))
        self.client.read_head()
        outcome = take(self.client)
        received = next(r for r in self._fake.received if r.request_id == outcome.request_id)
        wait_until(lambda: received.ended or received.client_left_at)
        if not outcome.is_whole or outcome.headers["connection"] == "close":
            self.client.sock.close()
            self.client = self._gateway.connect()
        return outcome, received


@pytest.fixture
def conversation(single: Gateway, fake: FakeVllm) -> Iterator[Conversation]:
    talk = Conversation(single, fake)
    yield talk
    talk.client.sock.close()


Follow = Callable[[Received], None]


@pytest.fixture
def check_next(single: Gateway, fake: FakeVllm, conversation: Conversation) -> Iterator[Follow]:
    """Ask again, on the same client connection and on another: each gets its own answer, on a connection
    that did not carry the odd one."""
    other = Conversation(single, fake)

    def check(odd: Received) -> None:
        for number, talk in enumerate((conversation, other, conversation)):
            outcome, received = talk.ask(f"next-{number}", stream=number == 2)

            assert (outcome.status, outcome.is_whole) == (200, True)
            assert outcome.body == fake.sent(outcome.request_id)
            assert f"next-{number}".encode() in outcome.body
            assert received.connection != odd.connection

    yield check
    other.client.sock.close()


@pytest.mark.parametrize("script", RIGHT.values(), ids=RIGHT)
def test_what_comes_behind_a_whole_answer_is_dropped(
    conversation: Conversation, check_next: Follow, script: dict[str, Any]
) -> None:
    outcome, odd = conversation.ask("odd", **script)

    assert (outcome.status, outcome.is_whole, outcome.body) == (200, True, OWN.encode())
    check_next(odd)


@pytest.mark.parametrize("script", EMPTY.values(), ids=EMPTY)
def test_an_answer_without_a_body_stays_without(
    conversation: Conversation, check_next: Follow, script: dict[str, Any]
) -> None:
    outcome, odd = conversation.ask("odd", **script)

    assert POISON.encode() not in outcome.body
    assert outcome.body == b"" or outcome.status in ERROR_STATUSES
    check_next(odd)


@pytest.mark.parametrize("script", SHORT.values(), ids=SHORT)
def test_an_answer_with_too_little_or_the_wrong_end_is_cut(
    conversation: Conversation, check_next: Follow, script: dict[str, Any]
) -> None:
    outcome, odd = conversation.ask("odd", **script)

    assert (outcome.status, outcome.is_whole) == (200, False)
    assert OWN.encode().startswith(outcome.body)
    check_next(odd)


@pytest.mark.parametrize("script", REFUSED.values(), ids=REFUSED)
def test_an_answer_that_can_be_read_in_two_ways_is_a_502(
    conversation: Conversation, check_next: Follow, script: dict[str, Any]
) -> None:
    outcome, odd = conversation.ask("odd", **script)

    assert outcome.status == 502
    assert json.loads(outcome.body)["error"]["code"] == "upstream_error"
    check_next(odd)


@pytest.mark.parametrize("script", INTERIM.values(), ids=INTERIM)
def test_an_interim_answer_is_never_taken_for_the_answer(
    conversation: Conversation, check_next: Follow, script: dict[str, Any]
) -> None:
    outcome, odd = conversation.ask("odd", **script)

    assert outcome.is_whole
    assert outcome.status == 502 or (outcome.status, outcome.body) == (200, OWN.encode())
    if outcome.status == 502:
        check_next(odd)


def test_a_large_error_leaves_nothing_behind(conversation: Conversation, check_next: Follow) -> None:
    outcome, odd = conversation.ask("odd", **LARGE_ERROR)

    assert outcome.status == 500
    assert POISON.encode() not in outcome.body
    check_next(odd)


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_its_client_abandoned_leaves_nothing_behind(
    single: Gateway, fake: FakeVllm, check_next: Follow, stream: bool
) -> None:
    script = {"event_bytes": 300_000, "fail_after": 1, "failure": "hang"}
    with single.connect() as client:
        client.send_request("POST", CHAT, asked(stream, POISON, **script))
        client.read_head()
        next(client.body())
    odd = next(r for r in fake.received if r.request_id == client.request_id)
    wait_until(lambda: odd.client_left_at)

    check_next(odd)
