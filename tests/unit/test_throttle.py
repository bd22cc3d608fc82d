"""Budgets of wrong keys: one for each address, refilled with time, in a bounded memory."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.socket import SHUT_RDWR, SHUT_WR, socketpair
from hypothesis import given
from hypothesis import strategies as st

from app.connection import ClientConnection
from app.logs import RequestRecord
from app.throttle import DELAY_SECONDS, MAX_ADDRESSES, NOBODY, PER_MINUTE, WrongKeys, address_of
from app.unavailable import Draining
from tests.unit.conftest import Clock

IPV6 = st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None)
A, B = "203.0.113.9", "203.0.113.10"
SITE, SAME_SITE, OTHER_SITE = "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"


def is_throttled(wrong_keys: WrongKeys, peer: str | None, remote: str | None = "127.0.0.1") -> bool:
    """Whether one more wrong key of this client is beyond its budget."""
    record = RequestRecord(peer=peer)
    wrong_keys.note(record, remote, None)
    return record.throttled is not None


def use_up(wrong_keys: WrongKeys, peer: str | None, remote: str | None = "127.0.0.1") -> None:
    assert not any(is_throttled(wrong_keys, peer, remote) for _ in range(PER_MINUTE))


def test_an_address_may_send_sixty_wrong_keys_at_once(clock: Clock) -> None:
    wrong_keys = WrongKeys()
    use_up(wrong_keys, A)

    assert is_throttled(wrong_keys, A)


def test_a_budget_comes_back_by_one_a_second(clock: Clock) -> None:
    wrong_keys = WrongKeys()
    use_up(wrong_keys, A)

    clock.go(5.5)

    assert [is_throttled(wrong_keys, A) for _ in range(7)] == [False] * 5 + [True] * 2


def test_wrong_keys_beyond_the_budget_do_not_prolong_it(clock: Clock) -> None:
    wrong_keys = WrongKeys()
    use_up(wrong_keys, A)
    assert all(is_throttled(wrong_keys, A) for _ in range(1000))

    clock.go(60)

    use_up(wrong_keys, A)


@pytest.mark.parametrize(
    ("first", "second", "is_shared"),
    [
        (A, B, False),
        (A, f"{A}:4711", True),
        (A, f"::ffff:{A}", True),
        (SITE, SAME_SITE, True),
        (SITE, f"[{SAME_SITE}]:443", True),
        (SITE, OTHER_SITE, False),
        ("nonsense", "other nonsense", True),
        (None, "", True),
    ],
)
def test_whose_budget_it_is(clock: Clock, first: str | None, second: str, is_shared: bool) -> None:
    wrong_keys = WrongKeys()
    use_up(wrong_keys, first)

    assert is_throttled(wrong_keys, second) == is_shared


def test_what_is_no_address_counts_with_the_connection_that_it_came_on(clock: Clock) -> None:
    wrong_keys = WrongKeys()
    use_up(wrong_keys, "nonsense", remote=A)

    assert is_throttled(wrong_keys, A, remote=A)
    assert not is_throttled(wrong_keys, "nonsense", remote=B)


def test_the_record_names_the_address_that_was_counted(clock: Clock) -> None:
    wrong_keys = WrongKeys()
    use_up(wrong_keys, None, remote="")
    record = RequestRecord(peer=None)

    wrong_keys.note(record, "", None)

    assert record.throttled == NOBODY


@pytest.mark.parametrize(("others", "is_remembered"), [(MAX_ADDRESSES - 1, True), (MAX_ADDRESSES, False)])
def test_ten_thousand_addresses_are_remembered_and_no_more(
    clock: Clock, others: int, is_remembered: bool
) -> None:
    wrong_keys = WrongKeys()
    use_up(wrong_keys, A)
    for number in range(others):
        is_throttled(wrong_keys, str(IPv4Address(number)))

    assert is_throttled(wrong_keys, A) == is_remembered


@given(st.text(max_size=60) | st.from_regex(r"\A\[?[0-9a-f:.]{0,45}\]?(:[0-9]{1,6})?\Z"))
def test_no_text_of_a_proxy_is_more_than_an_address_or_nothing(text: str) -> None:
    address = address_of(text)

    if address is not None:
        plain = address.removesuffix("/64")
        assert address_of(plain) == address
        assert ":" in plain or IPv4Address(plain)


@given(st.ip_addresses(v=4), st.integers(0, 65535))
def test_an_ipv4_address_stands_for_itself_however_it_is_written(address: IPv4Address, port: int) -> None:
    forms = (f"{address}", f"{address}:{port}", f"::ffff:{address}", f"[::ffff:{address}]:{port}")

    assert {address_of(form) for form in forms} == {str(address)}


@given(IPV6, IPV6, st.integers(2**48, 2**64 - 1))
def test_an_ipv6_address_stands_for_its_network(one: IPv6Address, other: IPv6Address, host: int) -> None:
    neighbour = IPv6Address(int(one) >> 64 << 64 | host)

    assert address_of(str(one)) == address_of(f"[{neighbour.exploded}]:443")
    assert (address_of(str(one)) == address_of(str(other))) == (int(one) >> 64 == int(other) >> 64)


class Client:
    """A client, and its connection as a worker sees it."""

    def __init__(self) -> None:
        self.end, near = socketpair()
        self.connection = ClientConnection(near, SimpleNamespace())

    def send_wrong(self, wrong_keys: WrongKeys) -> Any:
        """One more wrong key; returns the greenlet that handles it, which has begun."""
        arguments = (RequestRecord(peer=A), None, self.connection)
        greenlet = gevent.spawn(wrong_keys.note, *arguments)
        gevent.sleep(0)
        return greenlet


@pytest.fixture
def used_up() -> WrongKeys:
    wrong_keys = WrongKeys()
    use_up(wrong_keys, A)
    return wrong_keys


@pytest.fixture
def clients() -> Iterator[Any]:
    """Make so many clients."""
    made: list[Client] = []

    def make(count: int = 1) -> list[Client]:
        made.extend(Client() for _ in range(count))
        return made

    yield make
    for client in made:
        client.end.close()
        client.connection.close()


def test_an_answer_beyond_the_budget_is_kept_back_and_its_connection_stays(
    used_up: WrongKeys, clients: Any
) -> None:
    (client,) = clients()
    began = gevent.get_hub().loop.now()

    client.send_wrong(used_up).get()

    assert gevent.get_hub().loop.now() - began >= DELAY_SECONDS
    assert not client.connection.is_last


def test_the_end_of_the_worker_ends_the_wait_and_changes_no_answer(used_up: WrongKeys, clients: Any) -> None:
    (client,) = clients()
    waiting = client.send_wrong(used_up)

    client.connection.interrupt(Draining())

    assert waiting.get(timeout=DELAY_SECONDS / 2) is None


@pytest.mark.parametrize("how", [SHUT_WR, SHUT_RDWR], ids=["half", "whole"])
def test_a_client_that_closes_does_not_end_the_wait(used_up: WrongKeys, clients: Any, how: int) -> None:
    (client,) = clients()
    began = gevent.get_hub().loop.now()
    waiting = client.send_wrong(used_up)

    client.end.shutdown(how)

    waiting.get()
    assert gevent.get_hub().loop.now() - began >= DELAY_SECONDS


def test_a_connection_that_has_to_make_room_is_answered_at_once(used_up: WrongKeys, clients: Any) -> None:
    (client,) = clients()
    waiting = client.send_wrong(used_up)

    client.connection.evict()

    assert waiting.get(timeout=DELAY_SECONDS / 2) is None
    assert client.connection.is_last


def test_the_more_answers_are_kept_back_the_longer(
    used_up: WrongKeys, clients: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.throttle.ANSWERS_PER_SECOND", 10)
    began = gevent.get_hub().loop.now()

    gevent.joinall([client.send_wrong(used_up) for client in clients(6)])

    assert gevent.get_hub().loop.now() - began >= 0.6


def test_answers_that_were_given_make_the_next_wait_no_longer(
    used_up: WrongKeys, clients: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    *some, another = clients(100)
    gevent.joinall([client.send_wrong(used_up) for client in some])
    monkeypatch.setattr("app.throttle.ANSWERS_PER_SECOND", 5)
    began = gevent.get_hub().loop.now()

    another.send_wrong(used_up).get()

    assert gevent.get_hub().loop.now() - began < len(some) / 5


def test_in_a_crowd_no_answer_is_kept_back(used_up: WrongKeys, clients: Any) -> None:
    (client,) = clients()
    client.connection.is_crowded = True

    assert client.send_wrong(used_up).dead
    assert client.connection.is_last
