"""Events are cut at blank lines, held back while unfinished, and never changed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import sse
from app.sse import EventBuffer, data_of, split_events
from tests.unit.test_framing import cuts

lines = st.lists(st.sampled_from([b"data: x", b"data:y", b": ping", b"event: e", b"id", b"\r"]), max_size=6)
streams = st.builds(
    lambda events, end: b"".join(end.join([*event, b"", b""]) for event in events),
    st.lists(lines, max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)


@given(streams | st.binary(max_size=80), st.lists(st.integers(1, 7), min_size=1))
def test_every_byte_comes_out_in_order_however_the_stream_is_cut(stream: bytes, sizes: list[int]) -> None:
    buffer = EventBuffer()

    passed = [buffer.feed(piece) for piece in cuts(stream, sizes)]

    assert b"".join(passed) + buffer.flush() == stream


@given(st.lists(lines, min_size=1, max_size=6), st.sampled_from([b"\n", b"\r\n"]), st.integers(1, 7))
def test_what_comes_out_early_is_whole_events(events: list[list[bytes]], end: bytes, size: int) -> None:
    stream = b"".join(end.join([*event, b"", b""]) for event in events)
    buffer = EventBuffer()

    for piece in cuts(stream, [size]):
        passed = buffer.feed(piece)
        assert re.search(rb"(\A|\n\r?\n|\r\r)[\r\n]*\Z", passed)


plain_lines = st.lists(
    st.sampled_from([b"data: x", b"data:", b": ping", b"event: e"]), min_size=1, max_size=4
)


@given(
    st.lists(plain_lines, min_size=1, max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(st.integers(1, 40), min_size=1),
)
def test_after_every_piece_exactly_the_whole_events_have_left(
    events: list[list[bytes]], end: bytes, sizes: list[int]
) -> None:
    written = [end.join([*event, b"", b""]) for event in events]
    boundaries = [len(b"".join(written[:count])) for count in range(len(written) + 1)]
    buffer = EventBuffer()
    came = left = 0

    for piece in cuts(b"".join(written), sizes):
        came += len(piece)
        left += len(buffer.feed(piece))
        assert left == max(boundary for boundary in boundaries if boundary <= came)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\n\r\n"])
def test_an_event_leaves_with_the_last_byte_of_its_blank_line(end: bytes) -> None:
    buffer = EventBuffer()
    event = b"data: x" + end

    early = [buffer.feed(event[i : i + 1]) for i in range(len(event) - 1)]

    assert early == [b""] * (len(event) - 1)
    assert buffer.feed(event[-1:]) == event


def test_the_next_event_waits_behind_a_whole_one() -> None:
    buffer = EventBuffer()

    assert buffer.feed(b"data: 1\n\ndata: 2\n") == b"data: 1\n\n"
    assert buffer.feed(b"\n") == b"data: 2\n\n"


@pytest.mark.parametrize("more", [b"\n", b"\r\n", b"\r", b"\n\n\n"])
def test_more_blank_lines_behind_an_event_are_not_held_as_an_event(more: bytes) -> None:
    for pieces in ([b"data: x\n\n" + more], [b"data: x\n\n", more], [b"data: x\n", b"\n" + more]):
        buffer = EventBuffer()

        assert b"".join(buffer.feed(piece) for piece in pieces) == b"data: x\n\n" + more
        assert not buffer.is_holding


def test_an_event_too_large_to_hold_passes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_HELD_BYTES", 10)
    buffer = EventBuffer()

    assert buffer.feed(b"data: 0123456789") == b"data: 0123456789"
    assert buffer.is_mid_event
    assert buffer.feed(b"abc\n\n") == b"abc\n\n"
    assert not buffer.is_mid_event


@given(streams)
def test_split_events_joined_are_the_block(block: bytes) -> None:
    assert b"".join(split_events(block)) == block


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\n\n", b"x"),
        (b"data:  x\n\n", b" x"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"event: e\r\ndata: x\r\n\r\n", b"x"),
        (b"event: e\rdata: x\r\r", b"x"),
        (b": ping\n\n", b""),
        (b"dataset: x\n\n", b""),
    ],
)
def test_data_is_read_as_the_standard_says(event: bytes, data: bytes) -> None:
    assert data_of(event) == data


def dispatched(stream: bytes) -> list[bytes]:
    """The data of each event, line by line as the standard tells it."""
    events, data = [], []
    for line in stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]:
        name, _, value = line.partition(b":")
        if not line:
            events.append(b"\n".join(data))
            data = []
        elif name == b"data":
            data.append(value.removeprefix(b" "))
    return events


odd_lines = st.binary(min_size=1, max_size=8).map(lambda line: line.translate(None, b"\r\n") or b"x")


@given(
    st.lists(st.lists(plain_lines.map(b"".join) | odd_lines, min_size=1, max_size=4), max_size=5),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_every_event_has_the_data_that_the_standard_says(events: list[list[bytes]], end: bytes) -> None:
    stream = b"".join(end.join([*event, b"", b""]) for event in events)

    assert [data_of(event) for event in split_events(stream)] == dispatched(stream)
