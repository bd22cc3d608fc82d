"""Body framings: whatever way the bytes are cut, the body comes out the same, or not at all."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.broken import UpstreamLost
from app.framing import LAST_CHUNK, ChunkedDecoder, CloseDecoder, LengthDecoder, encode_chunk
from tests.fuzz.reading import Broken, Partial, read_chunks

pieces = st.lists(st.binary(min_size=1, max_size=50), max_size=8)


def cuts(data: bytes, sizes: list[int]) -> list[bytes]:
    """The data cut into pieces of these sizes, over and over."""
    out, position, turn = [], 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        out.append(data[position : position + size])
        position, turn = position + size, turn + 1
    return out


@given(pieces, st.lists(st.integers(1, 9), min_size=1), st.binary(max_size=5))
def test_chunks_decode_to_the_body_however_they_are_cut(
    parts: list[bytes], sizes: list[int], surplus: bytes
) -> None:
    wire = b"".join(map(encode_chunk, parts)) + LAST_CHUNK
    decoder = ChunkedDecoder()

    body = b"".join(decoder.feed(piece) for piece in cuts(wire, sizes))

    assert body == b"".join(parts)
    assert decoder.done
    assert not decoder.surplus
    decoder.feed(surplus)
    assert decoder.surplus == bool(surplus)


@st.composite
def spelled_chunks(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A body, and one of the many ways to write it in chunks."""
    parts = draw(pieces)
    spelling = st.sampled_from([b"%x", b"%X", b"00%x"])
    extension = st.sampled_from([b"", b";a", b' ;a="b"', b"\t; a=1;b"])
    wire = b"".join(draw(spelling) % len(part) + draw(extension) + b"\r\n" + part + b"\r\n" for part in parts)
    trailers = draw(st.lists(st.sampled_from([b"X-Sum: 1\r\n", b"Server-Timing: a;dur=1\r\n"]), max_size=2))
    end = draw(st.sampled_from([b"0", b"000"])) + draw(extension) + b"\r\n"
    return b"".join(parts), b"".join([wire, end, *trailers, b"\r\n"])


@given(spelled_chunks(), st.lists(st.integers(1, 9), min_size=1))
def test_every_spelling_of_chunks_decodes_to_the_body(spelled: tuple[bytes, bytes], sizes: list[int]) -> None:
    body, wire = spelled
    decoder = ChunkedDecoder()

    assert b"".join(decoder.feed(piece) for piece in cuts(wire, sizes)) == body
    assert (decoder.done, decoder.surplus) == (True, False)


def verdict(wire: bytes, sizes: list[int]) -> str:
    """What a decoder makes of these bytes in such pieces."""
    decoder = ChunkedDecoder()
    try:
        for piece in cuts(wire, sizes):
            decoder.feed(piece)
    except UpstreamLost:
        return "lost"
    return "whole" if decoder.done else "unfinished"


near_chunks = st.lists(
    st.sampled_from([b"5", b"0", b"f;x", b"\r\n", b"\r", b"\n", b"hello", b" ", b"-1", b"\x00"]), max_size=12
).map(b"".join)


@given(near_chunks | st.binary(max_size=60), st.lists(st.integers(1, 5), min_size=1))
def test_the_verdict_on_garbage_does_not_depend_on_how_it_is_cut(wire: bytes, sizes: list[int]) -> None:
    assert verdict(wire, sizes) == verdict(wire, [len(wire) or 1])


@given(pieces, st.integers(1, 200))
def test_a_chunked_body_without_its_end_is_never_whole(parts: list[bytes], missing: int) -> None:
    wire = b"".join(map(encode_chunk, parts)) + LAST_CHUNK
    decoder = ChunkedDecoder()

    decoder.feed(wire[: max(0, len(wire) - missing)])

    assert not decoder.done
    with pytest.raises(UpstreamLost):
        decoder.end()


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_incomplete_but_never_crashes(data: bytes) -> None:
    decoder = ChunkedDecoder()
    try:
        decoder.feed(data)
    except UpstreamLost:
        return
    if not decoder.done:
        with pytest.raises(UpstreamLost):
            decoder.end()


@pytest.mark.parametrize(
    "wire", [b"x\r\n", b"-1\r\n", b"+5\r\n", b"0x5\r\n", b" 5\r\n", b"\r\n", b"5\r\nhelloXX", b"1_0\r\n"]
)
def test_what_is_no_chunk_is_refused(wire: bytes) -> None:
    with pytest.raises(UpstreamLost):
        ChunkedDecoder().feed(wire)


def test_extensions_and_trailers_are_dropped() -> None:
    decoder = ChunkedDecoder()

    assert decoder.feed(b'5;a="b"\r\nhello\r\n0;x\r\nTrailer: x\r\n\r\n') == b"hello"
    assert decoder.done


def test_a_size_line_without_end_is_refused() -> None:
    with pytest.raises(UpstreamLost):
        ChunkedDecoder().feed(b"1" + b";" * 10_000)


@given(st.binary(max_size=50), st.binary(max_size=5))
def test_a_body_of_known_length_ends_there(body: bytes, surplus: bytes) -> None:
    decoder = LengthDecoder(len(body))

    assert decoder.feed(body + surplus) == body
    assert decoder.done
    assert decoder.surplus == bool(surplus)


def test_a_short_body_is_lost() -> None:
    decoder = LengthDecoder(5)
    decoder.feed(b"1234")

    with pytest.raises(UpstreamLost):
        decoder.end()


def test_a_body_up_to_the_close_ends_with_it() -> None:
    decoder = CloseDecoder()

    assert decoder.feed(b"abc") == b"abc"
    assert not decoder.done
    decoder.end()
    assert decoder.done


def test_a_close_before_the_first_byte_is_no_body() -> None:
    with pytest.raises(UpstreamLost):
        CloseDecoder().end()


def test_nothing_is_no_chunk() -> None:
    assert encode_chunk(b"") == b""
    assert encode_chunk(b"x" * 16) == b"10\r\n" + b"x" * 16 + b"\r\n"


@given(near_chunks | spelled_chunks().map(lambda spelled: spelled[1]))
def test_whatever_is_a_chunked_body_by_the_letter_is_read_as_that_body(wire: bytes) -> None:
    decoder = ChunkedDecoder()
    try:
        body, rest = read_chunks(wire)
    except Partial:
        with suppress(UpstreamLost):
            decoder.feed(wire)
        assert not decoder.done
    except Broken:
        return  # a client may be laxer about extensions and trailers, which it drops
    else:
        assert decoder.feed(wire) == body
        assert (decoder.done, decoder.surplus) == (True, bool(rest))
