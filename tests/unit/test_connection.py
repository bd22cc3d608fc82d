"""The end of a connection: the client still reads its answer, the others wait for nothing."""

from collections.abc import Iterator
from io import BytesIO
from types import SimpleNamespace

import gevent
import pytest
from gevent.socket import socket, socketpair

from app.connection import READ_AHEAD_BYTES, ClientConnection

Pair = tuple[socket, ClientConnection]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A client's end, and the connection that the worker has with it."""
    end, near = socketpair()
    end.settimeout(5)
    yield end, ClientConnection(near, SimpleNamespace())
    end.close()


def test_what_a_refused_client_still_sends_is_read_in_turns_with_others(pair: Pair) -> None:
    end, connection = pair
    end.setblocking(False)
    sent = end.send(b"x" * 10 * READ_AHEAD_BYTES)
    end.close()
    turns = []
    other = gevent.spawn(lambda: [turns.append(gevent.sleep(0)) for _ in range(1000)])
    gevent.sleep(0)

    connection.close()

    assert len(turns) >= sent // READ_AHEAD_BYTES >= 2
    other.kill()


def test_an_answer_that_was_sent_is_read_although_the_request_was_not(pair: Pair) -> None:
    end, connection = pair
    end.sendall(b"x" * 1000)
    connection.sock.sendall(b"answer")
    closing = gevent.spawn(connection.close)

    assert (end.recv(100), end.recv(100)) == (b"answer", b"")
    assert not closing.dead
    end.close()
    closing.get(timeout=5)


@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "half a head"])
def test_who_has_to_go_wakes_up_from_its_wait(pair: Pair, is_busy: bool) -> None:
    _, connection = pair
    waiting = gevent.spawn(connection.sock.recv, 100)
    connection.is_busy = is_busy
    gevent.sleep(0)

    connection.evict()

    assert waiting.get(timeout=5) == b""
    connection.close()


def test_who_had_to_go_while_others_had_their_turn_is_asked_nothing_more(pair: Pair) -> None:
    _, connection = pair
    connection.buffer = SimpleNamespace(buf=BytesIO())
    connection.buffer.buf.write(b"GET / HTTP/1.1")
    waiting = gevent.spawn(connection.wait_for_request, 5)
    gevent.sleep(0)

    connection.evict()

    assert waiting.get(timeout=5) is False
    connection.close()


def test_who_has_to_go_waits_no_longer_for_an_answer_to_be_read(pair: Pair) -> None:
    _, connection = pair
    connection.is_busy = True
    sending = gevent.spawn(connection.sock.sendall, b"x" * 10_000_000)
    gevent.sleep(0)

    connection.evict()

    with pytest.raises(BrokenPipeError):
        sending.get(timeout=5)
    connection.close()


@pytest.mark.parametrize(
    ("buffered", "is_whole"),
    [
        (b"GET / HTTP/1.1\r\nHost: g\r\n\r\n", True),
        (b"\r\nGET / HTTP/1.1\r\n\r\n{", True),
        (b"GET / HTTP/1.1\r\nHost: g\r\n", False),
        (b"\r\n\r\nGET / HT", False),
        (b"\r\n\r\n", False),
        (b"", False),
    ],
)
def test_a_head_needs_no_limit_of_time_only_where_all_of_it_has_come(
    pair: Pair, buffered: bytes, is_whole: bool
) -> None:
    end, connection = pair
    connection.buffer.buf = BytesIO(buffered)

    assert connection.has_buffered_head() is is_whole
    end.close()
    connection.close()
