"""The head of an answer is taken in one meaning only, or not at all."""

import http.client
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.answer_head import parse_head
from app.errors import UpstreamError
from app.framing import ChunkedDecoder, CloseDecoder, LengthDecoder

TOKEN_CHARS = "!#$%&'*+.^_`|~0123456789ABCXYZabcxyz-"
VALUE_CHARS = "".join(map(chr, [*range(0x20, 0x7F), *range(0x80, 0x100)])) + "\t"
NAMES = st.text(TOKEN_CHARS, min_size=1, max_size=12)
VALUES = st.text(VALUE_CHARS, max_size=20).map(lambda value: value.strip(" \t"))


def head(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    """The head as bytes, less the empty line."""
    return "\r\n".join([status, *lines]).encode("latin-1")


@given(st.integers(100, 999).filter(lambda status: status != 101), st.lists(st.tuples(NAMES, VALUES)))
def test_what_was_written_is_what_is_read(status: int, fields: list[tuple[str, str]]) -> None:
    lines = [f"{name}: {value}" for name, value in fields]

    parsed = parse_head(head(*lines, status=f"HTTP/1.1 {status} Any Reason"))

    assert (parsed.status, parsed.fields) == (status, fields)


@given(st.binary(min_size=1, max_size=60))
@example(b"200 OK")
def test_other_bytes_are_refused_or_hold_no_line_end(tail: bytes) -> None:
    try:
        parsed = parse_head(b"HTTP/1.1 200 OK\r\n" + tail)
    except UpstreamError:
        return
    assert all(not set("\r\n") & set(name + value) for name, value in parsed.fields)
    assert len(parsed.fields) == len([line for line in tail.split(b"\r\n") if line[:1] not in (b" ", b"\t")])


@pytest.mark.parametrize(
    "first",
    [
        "HTTP/1.1 200", "HTTP/1.0 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 200 ", "HTTP/1.1 299 Za\xdf",
    ],
)  # fmt: skip
def test_these_are_status_lines(first: str) -> None:
    assert parse_head(head(status=first)).status in (200, 299, 404)


@pytest.mark.parametrize(
    "first",
    [
        "", "HTTP/1.1", "HTTP/1.1 20", "HTTP/1.1 2000 OK", "HTTP/1.1 099 Low", "HTTP/2 200 OK", "ICY 200 OK",
        "http/1.1 200 OK", "HTTP/1.1  200 OK", " HTTP/1.1 200 OK", "HTTP/1.1 200 O\nK", "HTTP/1.1 200 O\0K",
        "HTTP/1.1 101 Switching Protocols",
    ],
)  # fmt: skip
def test_these_are_none(first: str) -> None:
    with pytest.raises(UpstreamError):
        parse_head(head(status=first))


@pytest.mark.parametrize(
    "line",
    ["no colon", ": no name", "A B: 1", "A : 1", "A: 1\n", "A: 1\rB", "A\0: 1", ""],
)
def test_one_line_that_is_no_field_spoils_the_head(line: str) -> None:
    with pytest.raises(UpstreamError):
        parse_head(head("Content-Type: text/plain", line))


@pytest.mark.parametrize("fold", ["\r\n ", "\r\n \t ", " \r\n\t"])
def test_a_folded_field_is_one_field(fold: str) -> None:
    assert parse_head(head(f"A: 1{fold}2", "B: 3")).fields[1:] == [("B", "3")]
    assert parse_head(head(f"A: 1{fold}2")).field("a").split() == ["1", "2"]


def test_there_is_nothing_that_the_first_line_could_continue() -> None:
    with pytest.raises(UpstreamError):
        parse_head(head(" A: 1"))


def test_fields_are_found_whatever_their_case_and_joined_where_there_are_several() -> None:
    parsed = parse_head(head("X-A: 1", "x-a: 2"))

    assert parsed.field("x-a") == "1, 2"
    assert parsed.field("x-b") == ""


@pytest.mark.parametrize(
    ("lines", "status", "expected"),
    [
        ((), "HTTP/1.1 200 OK", False),
        (("Connection: keep-alive, Close",), "HTTP/1.1 200 OK", True),
        ((), "HTTP/1.0 200 OK", True),
        (("Connection: keep-alive",), "HTTP/1.0 200 OK", False),
    ],
)
def test_a_connection_goes_on_where_both_sides_know_that_it_does(
    lines: tuple[str, ...], status: str, expected: bool
) -> None:
    assert parse_head(head(*lines, status=status)).will_close is expected


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (("Transfer-Encoding: Chunked",), ChunkedDecoder),
        (("Content-Length: 5",), LengthDecoder),
        ((), CloseDecoder),
    ],
)
def test_each_framing_has_its_decoder(lines: tuple[str, ...], kind: type) -> None:
    assert isinstance(parse_head(head(*lines)).decoder(), kind)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_is_whole_at_once(status: int) -> None:
    assert parse_head(head("Content-Length: 5", status=f"HTTP/1.1 {status} X")).decoder().done


@pytest.mark.parametrize(
    "lines",
    [
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 5"),
        ("Content-Length: 5, 6",),
        ("Content-Length: -1",),
        ("Content-Length: 0x5",),
        ("Content-Length: \xb2",),
        ("Content-Length: 1234567890123456789",),
        ("Content-Length:",),
        ("Content-Length:", "Transfer-Encoding: chunked"),
    ],
)
def test_a_framing_that_is_not_certain_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(UpstreamError):
        parse_head(head(*lines)).decoder()


def test_a_coding_that_http_1_0_does_not_know_is_refused() -> None:
    with pytest.raises(UpstreamError):
        parse_head(head("Transfer-Encoding: chunked", status="HTTP/1.0 200 OK")).decoder()


def test_behind_an_answer_without_a_body_that_declares_one_nothing_can_follow() -> None:
    assert parse_head(head("Transfer-Encoding: chunked", status="HTTP/1.1 204 X")).will_close
    assert not parse_head(head("Content-Length: 5", status="HTTP/1.1 304 X")).will_close


@pytest.mark.timeout(5)  # some ways to look for the end of a value take hours for these
@pytest.mark.parametrize("line", ["A: a" + " " * 60_000 + "b", "A:" + " " * 60_000 + "\n", "A" * 60_000])
def test_a_long_line_takes_no_long_time(line: str) -> None:
    try:
        assert parse_head(head(line)).fields[0][1].startswith("a")
    except UpstreamError:
        assert "b" not in line


@given(st.lists(st.tuples(NAMES, VALUES.filter(lambda value: value.isprintable() and value)), max_size=5))
def test_the_standard_library_reads_the_same(fields: list[tuple[str, str]]) -> None:
    raw = head(*(f"{name}: {value}" for name, value in fields))

    expected = http.client.parse_headers(
        io.BytesIO(raw.split(b"\r\n", 1)[-1] + b"\r\n\r\n" if fields else b"\r\n")
    )

    assert parse_head(raw).fields == list(expected.items())
