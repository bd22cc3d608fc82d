"""A head, and the framing of its body: one verdict however the bytes come, and none beyond the limits."""

import gevent
import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import IterUnreader
from hypothesis import given
from hypothesis import strategies as st

from app.errors import (
    BadRequest,
    ExpectationFailed,
    GatewayError,
    HeadersTooLarge,
    RequestTooLarge,
    TargetTooLong,
)
from app.head import CHUNKS_AT_A_TIME, MAX_CHUNKS, MAX_HEAD_BYTES, ChunkReader, Head, HeadRefused

CONFIG = Config()
for _name, _value in (("limit_request_fields", 100), ("http_parser", "python"), ("header_map", "drop")):
    CONFIG.set(_name, _value)
FIRST = b"POST /v1/messages HTTP/1.1\r\n"
GOOD = FIRST + b"Host: g\r\nContent-Length: 5\r\n\r\nhello"


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def read_head(data: bytes, size: int = 8192) -> Head:
    """The head in bytes that come in pieces of a size."""
    return Head(CONFIG, IterUnreader(cut(data, size)), ("127.0.0.1", 1))


def refusal(data: bytes, size: int = 8192) -> HeadRefused:
    with pytest.raises(HeadRefused) as caught:
        read_head(data, size)
    return caught.value


near_heads = st.lists(
    st.sampled_from(
        [
            *(b"GET ", b"POST ", b"/v1/models", b" HTTP/1.1", b"\r\n", b"\r\n", b"\r", b"\n", b"Host: g"),
            *(b": ", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close", b"\x00"),
        ]
    ),
    max_size=16,
).map(b"".join)  # fmt: skip


def verdict(data: bytes, size: int) -> object:
    """What becomes of these bytes, in such pieces."""
    try:
        head = read_head(data, size)
    except StopIteration:
        return None
    except HeadRefused:
        return "refused"
    return head.method, head.uri, head.headers, head.should_close()


@given(near_heads | st.binary(max_size=60), st.integers(1, 9))
def test_the_verdict_on_a_head_does_not_depend_on_how_it_is_cut(data: bytes, size: int) -> None:
    assert verdict(data, size) == verdict(data, len(data) or 1)


@given(near_heads, st.integers(1, 9))
def test_a_good_head_is_read_however_it_is_cut_and_what_follows_stays(rest: bytes, size: int) -> None:
    head = read_head(GOOD + rest, size)

    assert (head.method, head.uri) == ("POST", "/v1/messages")
    assert head.body is not None
    assert head.body.read() == b"hello"


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r"])
def test_where_no_request_began_there_is_none(data: bytes) -> None:
    with pytest.raises(StopIteration):
        read_head(data)


@pytest.mark.parametrize("size", [1, 8192])
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"GET /" + b"x" * 4100, TargetTooLong),
        (FIRST + b"X: y\r\n" * 101 + b"\r\n", HeadersTooLarge),
        (FIRST + b"X_Y: z\r\n" * 101 + b"\r\n", HeadersTooLarge),
        (FIRST + b"X: " + b"y" * 8190 + b"\r\n\r\n", HeadersTooLarge),
        (FIRST + b"Expect: x\r\n\r\n", ExpectationFailed),
        (FIRST + b"X: y\n", BadRequest),
        (FIRST + b"X: y\rZ", BadRequest),
        (FIRST, BadRequest),
        (FIRST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", BadRequest),
        (FIRST + b"Content-Length: 99999999999999999999\r\n\r\n", BadRequest),
    ],
)
def test_each_kind_of_refusal_has_its_error(data: bytes, error: type[GatewayError], size: int) -> None:
    assert type(refusal(data, size).error) is error


@pytest.mark.parametrize("size", [100, 8192, 2 * MAX_HEAD_BYTES])
def test_a_head_is_bounded_as_a_whole(size: int) -> None:
    def of_length(length: int) -> bytes:
        fields = b"".join(b"X: " + b"y" * 7995 + b"\r\n" for _ in range(8))
        return FIRST + fields + b"Z: " + b"y" * (length - len(FIRST) - len(fields) - 7) + b"\r\n\r\n"

    assert len(of_length(MAX_HEAD_BYTES)) == MAX_HEAD_BYTES
    assert read_head(of_length(MAX_HEAD_BYTES) + b"x" * 9000, size).method == "POST"
    assert isinstance(refusal(of_length(MAX_HEAD_BYTES + 1), size).error, HeadersTooLarge)


def test_no_more_is_read_of_a_head_than_it_may_have() -> None:
    pieces = iter([FIRST, *[b"X: " + b"y" * 8000 + b"\r\n"] * 50])

    with pytest.raises(HeadRefused):
        Head(CONFIG, IterUnreader(pieces), ("127.0.0.1", 1))

    assert len(list(pieces)) == 50 - 10  # one piece more than fits


@pytest.mark.parametrize(
    ("data", "method", "target"),
    [
        (FIRST + b"no colon\r\n\r\n", "POST", "/v1/messages"),
        (FIRST + b"Content-Length: x\r\n\r\n", "POST", "/v1/messages"),
        (b"SECRET WORDS OF A BODY\r\n", None, ""),
        (b"GET /v1/models HTTP/2.0\r\n", None, ""),
        (b"POST secret HTTP/1.1\r\n", None, ""),
    ],
)
def test_a_refusal_knows_the_first_line_only_where_that_was_right(
    data: bytes, method: str | None, target: str
) -> None:
    found = refusal(data)

    assert (found.method, found.target) == (method, target)


@pytest.mark.parametrize(
    ("fields", "closes"),
    [
        (b"Connection: close\r\nContent-Length: 5\r\n", True),
        (b"Connection: x , CLOSE\r\nContent-Length: 5\r\n", True),
        (b"Connection: x\r\nConnection: close\r\nContent-Length: 5\r\n", True),
        (b"Connection: keep-alive, close\r\nContent-Length: 5\r\n", True),
        (b"Connection: closed\r\nContent-Length: 5\r\n", False),
        (b"Content-Length: 5\r\n", False),
        (b"Transfer-Encoding: chunked\r\n", False),
        (b"Content-Length: 0\r\n", True),
        (b"", True),
    ],
)
def test_a_connection_closes_where_the_client_says_so_or_hides_a_body(fields: bytes, closes: bool) -> None:
    assert read_head(FIRST + fields + b"\r\n").should_close() is closes


def read_chunks(wire: bytes, size: int = 8192, limit: int | None = None) -> bytes:
    """The body in these chunks."""
    head = read_head(FIRST + b"Transfer-Encoding: chunked\r\n\r\n" + wire, size)
    assert head.body is not None
    assert isinstance(head.body.reader, ChunkReader)
    head.body.reader.limit = limit or head.body.reader.limit
    return head.body.read()


near_chunks = st.lists(
    st.sampled_from([b"5", b"0", b"f;x", b"\r\n", b"\r", b"\n", b"hello", b" ", b"-1", b"\x00", b"X: y"]),
    max_size=12,
).map(b"".join)  # fmt: skip


def body_or_none(wire: bytes, size: int) -> bytes | None:
    try:
        return read_chunks(wire, size)
    except (ParseException, OSError):
        return None


@given(near_chunks | st.binary(max_size=60), st.integers(1, 5))
def test_the_verdict_on_chunks_does_not_depend_on_how_they_are_cut(wire: bytes, size: int) -> None:
    assert body_or_none(wire, size) == body_or_none(wire, 8192)


def test_a_size_that_is_announced_is_not_waited_for() -> None:
    with pytest.raises(RequestTooLarge):
        read_chunks(b"5\r\nhello\r\n6\r\n", limit=10)
    assert read_chunks(b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n", limit=10) == b"helloworld"


def test_a_body_is_not_made_of_dust() -> None:
    most = b"1\r\nx\r\n" * (MAX_CHUNKS - 1) + b"0\r\n\r\n"

    assert read_chunks(most) == b"x" * (MAX_CHUNKS - 1)
    with pytest.raises(BadRequest):
        read_chunks(b"1\r\nx\r\n" + most)


def test_others_have_their_turn_while_a_body_of_many_chunks_is_read() -> None:
    turns: list[int] = []

    def take_turns() -> None:
        while True:
            turns.append(1)
            gevent.sleep(0)

    other = gevent.spawn(take_turns)
    read_chunks(b"1\r\nx\r\n" * 10 * CHUNKS_AT_A_TIME + b"0\r\n\r\n")
    other.kill()

    assert len(turns) >= 9
