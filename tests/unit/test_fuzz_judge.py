"""The judge of the fuzzers finds what must not be, and the reader reads by the letter."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.error_body import error_body
from app.errors import InvalidJson
from tests.fuzz.inputs import PASSES
from tests.fuzz.judge import REFUSAL, judge
from tests.fuzz.reading import Message, read_answer, read_requests

ERROR = error_body(InvalidJson())
FIELDS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "x-request-id": "req_" + "0" * 32,
    "connection": "keep-alive",
    "content-type": "application/json",
}


def answer(status: int, content: Any = None, **changed: str) -> Message:
    body = b"" if content is None else json.dumps(content).encode()
    fields = {**FIELDS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    head = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items())]
    wire = "\r\n".join([*head, f"content-length: {len(body)}", "", ""]).encode() + body
    return read_answer(wire, is_for_head=False)[0]


GOOD = [
    answer(200, {"any": "Traceback"}),
    answer(400, ERROR),
    answer(400, REFUSAL),
    answer(400, error_body(InvalidJson(), anthropic=True)),
    answer(401, ERROR, www_authenticate="Bearer"),
    answer(405, ERROR, allow="GET"),
]


@pytest.mark.parametrize("good", GOOD, ids=[str(number) for number in range(len(GOOD))])
def test_nothing_is_found_in_a_good_answer(good: Message) -> None:
    assert judge(good) == []


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (answer(500, ERROR), "the status 500"),
        (answer(301, None), "the status 301"),
        (answer(200, {}, server="x"), "the header server"),
        (answer(200, {}, x_content_type_options=""), "a type that may be guessed"),
        (answer(404, ERROR, cache_control="private"), "an error that may be stored"),
        (answer(200, {}, x_request_id="mine"), "no request id"),
        (answer(200, {}, connection="upgrade"), "the connection field b'upgrade'"),
        (answer(401, ERROR), "a 401 without www-authenticate"),
        (answer(405, ERROR), "a 405 without allow"),
        (answer(400), "an error without a body"),
        (answer(400, "<html>"), "an error that tells about the host"),
        (answer(400, {"error": {**ERROR["error"], "message": "see /tmp/x"}}), "an error that tells about"),
        (answer(400, {"error": {**ERROR["error"], "message": "not 500"}}), "an error text with digits"),
        (answer(400, ERROR, content_type="text/html"), "an error of the type b'text/html'"),
        (answer(400, {"detail": "x"}), "an error of no known shape"),
        (answer(400, {**ERROR, "more": 1}), "an error of no known shape"),
        (answer(400, {"error": {"message": "x"}}), "an error of no known shape"),
        (answer(400, []), "an error of no known shape"),
    ],
)
def test_what_must_not_be_is_found(bad: Message, problem: str) -> None:
    assert [found for found in judge(bad) if found.startswith(problem)]


@pytest.mark.parametrize("target", [b"/v1/messages", b"/v1/messages/count_tokens?x", b"/v1/messages/x", b"/"])
def test_the_shape_of_an_error_follows_from_the_target(target: bytes) -> None:
    is_anthropic = target in (b"/v1/messages", b"/v1/messages/count_tokens?x")
    right, wrong = (
        answer(400, error_body(InvalidJson(), anthropic=each is is_anthropic)) for each in (True, False)
    )

    assert (judge(right, target=target), len(judge(wrong, target=target))) == ([], 1)


@pytest.mark.parametrize(
    ("message", "expected", "is_right"),
    [
        (answer(200, {}), PASSES, True),
        (answer(400, REFUSAL), PASSES, True),
        (answer(400, ERROR), PASSES, False),
        (answer(400, error_body(InvalidJson(), anthropic=True)), PASSES, False),
        (answer(400, ERROR), "invalid_json", True),
        (answer(400, error_body(InvalidJson(), anthropic=True)), "invalid_json", True),
        (answer(200, {}), "invalid_json", False),
        (answer(400, ERROR), "unsupported_media_type", False),
    ],
)
def test_a_known_verdict_is_compared(message: Message, expected: str, is_right: bool) -> None:
    assert (judge(message, expected) == []) is is_right


bodies = st.binary(max_size=40)


def with_length(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(body: bytes) -> bytes:
    wire = b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in body)
    return b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + wire + b"0\r\nX: y\r\n\r\n"


@given(st.lists(st.tuples(bodies, st.sampled_from([with_length, in_chunks])), max_size=4), st.booleans())
def test_every_request_is_read_with_its_own_body(sent: list[tuple[bytes, Any]], has_rest: bool) -> None:
    wire = b"".join(write(body) for body, write in sent)

    found = read_requests(wire + (b"GET / HT" if has_rest else b""))

    assert [request.body for request in found.whole] == [body for body, _ in sent]
    assert found.has_rest is has_rest


@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1\n\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nX : a\r\n\r\n",
        b"GET / HTTP/1.1\r\n X: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx0\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 101 + b"\r\n",
    ],
)
def test_what_breaks_the_letter_is_no_request(wire: bytes) -> None:
    found = read_requests(wire)

    assert (found.whole, found.has_rest) == ([], True)
