"""One connection to the upstream: what is read from it, and when it may carry another request."""

from collections.abc import Iterator
from typing import Any

import gevent.socket
import pytest

from app.errors import UpstreamError
from app.transport import Connection, Pool

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PATIENCE = 5.0


@pytest.fixture
def pair() -> Iterator[tuple[Any, Any]]:
    """The gateway's end and the upstream's."""
    ours, theirs = gevent.socket.socketpair()
    ours.settimeout(PATIENCE)
    with ours, theirs:
        yield ours, theirs


def made(sock: Any) -> tuple[Pool, Connection]:
    """A connection, and the pool that it belongs to."""
    pool = Pool(lambda: sock)
    return pool, Connection(sock, pool)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\nA: 1\n\n", b"HTTP/1.1 200 OK\r\nA: 1\n\r\n", b"HTTP/1.1 200 OK\rA: 1"]
)
def test_a_head_that_can_never_end_is_refused_without_waiting_for_more(
    pair: tuple[Any, Any], head: bytes
) -> None:
    ours, theirs = pair
    theirs.sendall(head)

    with pytest.raises(UpstreamError):
        made(ours)[1].ask(b"GET / HTTP/1.1\r\n\r\n", b"")


def test_a_head_that_comes_byte_by_byte_is_read(pair: tuple[Any, Any]) -> None:
    ours, theirs = pair

    def send_slowly() -> None:
        for number in range(len(WHOLE)):
            theirs.sendall(WHOLE[number : number + 1])
            gevent.sleep(0)

    gevent.spawn(send_slowly)

    head, _ = made(ours)[1].ask(b"GET / HTTP/1.1\r\n\r\n", b"")

    assert (head.status, head.field("content-length")) == (200, "2")


def test_a_connection_whose_answer_was_read_carries_the_next_request(pair: tuple[Any, Any]) -> None:
    ours, theirs = pair
    theirs.sendall(WHOLE)
    pool, connection = made(ours)
    connection.ask(b"GET / HTTP/1.1\r\n\r\n", b"")

    connection.release()

    assert pool._idle == [connection]


class Deaf:
    """A server that has answered, and takes no more of the request."""

    def __init__(self) -> None:
        self._sock = self
        self.is_closed = False

    def send(self, _data: bytes) -> int:
        raise BrokenPipeError

    def recv(self, _size: int) -> bytes:
        return WHOLE

    def close(self) -> None:
        self.is_closed = True


def test_a_connection_whose_request_went_out_by_half_carries_no_other() -> None:
    deaf = Deaf()
    pool, connection = made(deaf)
    assert connection.ask(b"POST / HTTP/1.1\r\n\r\n", b"{}")[0].status == 200

    connection.release()

    assert deaf.is_closed
    assert pool._idle == []
