"""Who has to go when a worker has nearly too many connections."""

from collections.abc import Iterator
from types import SimpleNamespace

import gevent
import pytest
from gevent.socket import socketpair

from app.connection import ClientConnection
from app.crowd import Crowd
from app.logs import RequestRecord
from app.unavailable import Overloaded

PLACES = 10


@pytest.fixture
def crowd() -> Crowd:
    return Crowd(PLACES)


@pytest.fixture
def connections() -> Iterator[list[ClientConnection]]:
    """Those of as many clients as there are places, and one more."""
    pairs = [socketpair() for _ in range(PLACES + 1)]
    yield [ClientConnection(near, SimpleNamespace()) for _, near in pairs]
    for pair in pairs:
        for end in pair:
            end.close()


def keep_back(connection: ClientConnection, key_name: str | None) -> gevent.Greenlet:
    """Have an answer wait on it, for much longer than a test."""
    connection.is_busy = True
    connection.record = RequestRecord(key_name=key_name)

    def wait() -> None:
        with connection.stoppable():
            gevent.sleep(60)

    greenlet = gevent.spawn(wait)
    gevent.sleep(0)
    return greenlet


def test_an_answer_that_is_kept_back_goes_out_when_its_place_is_needed(
    crowd: Crowd, connections: list[ClientConnection]
) -> None:
    waiting = []
    for connection in connections[: PLACES - 1]:
        crowd.enter(connection)
        waiting.append(keep_back(connection, None))

    crowd.enter(connections[-1])

    with pytest.raises(Overloaded):
        waiting[0].get(timeout=5)
    assert [connection.is_last for connection in connections] == [True] + [False] * PLACES
    gevent.killall(waiting)


def test_a_request_with_a_key_keeps_its_place_whatever_it_waits_for(
    crowd: Crowd, connections: list[ClientConnection]
) -> None:
    waiting = []
    for connection in connections:
        crowd.enter(connection)
        waiting.append(keep_back(connection, "tester"))
    gevent.sleep(0)

    assert not any(greenlet.dead for greenlet in waiting)
    gevent.killall(waiting)


@pytest.mark.parametrize(
    ("with_key", "first_to_go"), [((), 0), ((0,), 1), ((0, 1), 2), ((0, 1, 2), 0)], ids=str
)
def test_strangers_are_the_first_whose_answer_is_waited_for_no_longer(
    crowd: Crowd,
    connections: list[ClientConnection],
    monkeypatch: pytest.MonkeyPatch,
    with_key: tuple[int, ...],
    first_to_go: int,
) -> None:
    monkeypatch.setattr("app.crowd.MAX_CLOSING", 2)
    closing = []
    for number, connection in enumerate(connections[:3]):
        connection.record = RequestRecord(key_name="tester" if number in with_key else None)
        closing.append(gevent.spawn(crowd.close, connection))
        gevent.sleep(0)

    gevent.joinall(closing, timeout=1, count=1)

    assert [greenlet.dead for greenlet in closing] == [number == first_to_go for number in range(3)]
    gevent.killall(closing)


def test_those_beyond_the_places_are_extra(crowd: Crowd, connections: list[ClientConnection]) -> None:
    for connection in connections:
        crowd.enter(connection)

    assert [connection.is_extra for connection in connections] == [False] * PLACES + [True]


def test_all_that_may_go_go_until_there_is_room(crowd: Crowd, connections: list[ClientConnection]) -> None:
    """Those that came at once were all too young to go."""
    for connection in connections[:PLACES]:
        crowd.enter(connection)
    for connection in connections:
        connection.has_served = True

    crowd.enter(connections[-1])

    assert sum(connection.is_last for connection in connections) == 2


def test_a_connection_that_closes_holds_no_place(crowd: Crowd, connections: list[ClientConnection]) -> None:
    *others, newcomer = connections
    for connection in others:
        crowd.enter(connection)
    closing = gevent.spawn(crowd.close, others[0])
    gevent.sleep(0)

    crowd.enter(newcomer)

    assert not closing.dead
    assert not newcomer.is_extra
    closing.kill()
