"""A request is sent twice in one case only: a reused connection died before any byte of an answer."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.fake_vllm import FakeVllm, Received
from tests.fault_proxy import Faults
from tests.gateway import Gateway
from tests.oracle import Outcome, ask, asked, check_refused

CHAT = "/v1/chat/completions"
HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n"
PARTS = {"one byte": "H", "the status line": "HTTP/1.1 200 OK\r\n", "half a field": HEAD[:40]}
CUTS = ("reset", "close")
# The failure comes a moment later than the bytes: a reset at once may overtake them.
LATER = {"interval": 0.05, "fail_after": 0}


def nothing() -> None:
    """The script alone does the harm."""


def ask_on(
    gateway: Gateway, fake: FakeVllm, *, reused: bool, prepare: Callable[[], None] = nothing, **script: Any
) -> tuple[Outcome, list[Received]]:
    """Ask on a connection that has carried an answer before, or on a new one; returns every try too.

    `prepare` is done right before. A probe may take the right connection away at any time; then the
    question is asked again.
    """
    with ExitStack() as busy:
        for attempt in range(20):
            if reused:
                assert gateway.chat(stream=False).status == 200
            else:
                busy.enter_context(gateway.open_chat(fake={"interval": 30}))
            before, start = {received.connection for received in fake.received}, len(fake.received)
            marker = f"attempt-{attempt}"
            prepare()
            outcome = ask(gateway.port, CHAT, asked(False, marker, **script))
            tries = [received for received in fake.received[start:] if marker.encode() in received.body]
            if (tries[0].connection in before) is reused:
                return outcome, tries
    raise AssertionError("no such connection was to be had")


@pytest.mark.parametrize("cut", CUTS)
def test_a_reused_connection_that_died_without_a_byte_is_replaced(
    harmed: Gateway, fake: FakeVllm, faults: Faults, cut: Any
) -> None:
    def cut_the_next() -> None:
        faults.cut, faults.cut_after, faults.cuts_once = cut, 0, True

    outcome, tries = ask_on(harmed, fake, reused=True, prepare=cut_the_next)

    assert (outcome.status, outcome.body) == (200, fake.sent(outcome.request_id))
    assert len(tries) == 2


@pytest.mark.parametrize("cut", CUTS)
def test_a_second_death_is_not_tried_a_third_time(harmed: Gateway, fake: FakeVllm, cut: str) -> None:
    outcome, tries = ask_on(harmed, fake, reused=True, raw=[], fail_after=0, failure=cut)

    check_refused(outcome, CHAT)
    assert (outcome.status, len(tries)) == (503, 2)


@pytest.mark.parametrize("cut", CUTS)
def test_a_new_connection_that_died_without_a_byte_is_not_tried_again(
    harmed: Gateway, fake: FakeVllm, cut: str
) -> None:
    outcome, tries = ask_on(harmed, fake, reused=False, raw=[], fail_after=0, failure=cut)

    check_refused(outcome, CHAT)
    assert (outcome.status, len(tries)) == (503, 1)


@pytest.mark.parametrize("reused", [True, False], ids=["reused", "new"])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("part", PARTS)
def test_after_a_byte_of_the_answer_there_is_no_second_try(
    harmed: Gateway, fake: FakeVllm, part: str, cut: str, reused: bool
) -> None:
    outcome, tries = ask_on(harmed, fake, reused=reused, raw=[PARTS[part], ""], failure=cut, **LATER)

    check_refused(outcome, CHAT)
    assert len(tries) == 1


@pytest.mark.parametrize("reused", [True, False], ids=["reused", "new"])
@pytest.mark.parametrize("cut", CUTS)
def test_after_the_head_there_is_no_second_try(
    harmed: Gateway, fake: FakeVllm, cut: str, reused: bool
) -> None:
    outcome, tries = ask_on(harmed, fake, reused=reused, raw=[HEAD, ""], failure=cut, **LATER)

    assert not outcome.is_whole or outcome.status == 502
    assert len(tries) == 1
