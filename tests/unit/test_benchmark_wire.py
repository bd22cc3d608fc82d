"""The load generator reads answers however they are cut, and tells those that are wrong."""

import pytest

from benchmarks.answers import (
    DONE,
    END_WITH_USAGE,
    FIRST,
    LAST,
    START,
    STREAM_BYTES,
    USAGE_EVENT,
    Wish,
    chunk,
    plain,
    stamped_event,
)
from benchmarks.bodies import chat, opencode
from benchmarks.wire import Answer, BrokenAnswer

STREAM = START + stamped_event(230, 1.5) * 3 + END_WITH_USAGE
BODY = FIRST + stamped_event(230, 1.5).split(b"\r\n")[1] * 3 + LAST + USAGE_EVENT + DONE


def fed(*pieces: bytes) -> tuple[Answer, bytes]:
    answer = Answer()
    return answer, b"".join([answer.feed(piece) for piece in pieces])


def test_a_stream_is_read_wherever_it_is_cut() -> None:
    for cut in range(len(STREAM)):
        answer, body = fed(STREAM[:cut], STREAM[cut:])

        assert (body, answer.is_whole, answer.status, answer.events) == (BODY, True, 200, 7)
        assert answer.body_bytes == STREAM_BYTES + 3 * 230 + len(USAGE_EVENT)


def test_a_stream_is_read_byte_by_byte() -> None:
    answer, body = fed(*(STREAM[at : at + 1] for at in range(len(STREAM))))

    assert (body, answer.is_whole, answer.events) == (BODY, True, 7)


@pytest.mark.parametrize("size", [1, 100, 231, 4096])
def test_a_proxy_may_frame_a_stream_anew(size: int) -> None:
    head = START.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    chunks = [chunk(BODY[at : at + size]) for at in range(0, len(BODY), size)]

    answer, body = fed(head, *chunks, b"0\r\n\r\n")

    assert (body, answer.is_whole, answer.events) == (BODY, True, 7)


def test_a_stream_without_its_last_chunk_is_not_whole() -> None:
    answer, _ = fed(STREAM[:-5])

    assert not answer.is_whole


def test_an_answer_with_a_length_is_whole_at_its_last_byte() -> None:
    whole = plain(200)

    assert not fed(whole[:-1])[0].is_whole
    assert fed(whole[:-1], whole[-1:])[0].is_whole


def test_an_empty_answer_is_whole_at_once() -> None:
    assert fed(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")[0].is_whole


def test_an_answer_tells_that_its_connection_closes() -> None:
    answer, _ = fed(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    assert answer.closes


@pytest.mark.parametrize("data", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", STREAM[:-5] + b"\r" * 40])
def test_what_is_no_answer_is_told(data: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        fed(data)


def test_the_expected_stream_has_no_fault() -> None:
    request = chat(Wish(events=3))
    answer, _ = fed(STREAM.replace(chunk(USAGE_EVENT), b""))

    assert request.fault(answer) == ""


@pytest.mark.parametrize("size", [229, 231])
def test_a_stream_of_another_size_is_a_fault(size: int) -> None:
    request = chat(Wish(events=3, size=size))
    answer, _ = fed(STREAM.replace(chunk(USAGE_EVENT), b""))

    assert "bytes instead of" in request.fault(answer)


def test_a_lost_event_is_a_fault() -> None:
    request = chat(Wish(events=4))
    answer, _ = fed(STREAM.replace(chunk(USAGE_EVENT), b""))

    assert request.fault(answer) == "6 events instead of 7"
    assert request.loosened().fault(answer) == ""


def test_a_refusal_is_a_fault_unless_it_is_expected() -> None:
    answer, _ = fed(plain(401))

    assert chat(Wish()).fault(answer) == "status 401"
    assert chat(Wish(), status=401).fault(answer) == ""


def test_a_client_that_asks_for_usage_expects_its_event() -> None:
    assert opencode(Wish(events=3)).fault(fed(STREAM)[0]) == ""
