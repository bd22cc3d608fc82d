"""Body framings: whatever way the bytes are cut, the body comes out the same, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.broken import UpstreamLost
from app.framing import LAST_CHUNK, ChunkedDecoder, CloseDecoder, LengthDecoder, encode_chunk

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
