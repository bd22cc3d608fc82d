"""Wherever an upstream's answer breaks off, the client sees an honest error or an honest part."""

import random
from typing import Any

import pytest

from tests.fake_vllm import FakeVllm
from tests.fault_proxy import Faults
from tests.gateway import Gateway
from tests.oracle import END_MARKS, ask, check_broken_stream
from tests.truth import CASES, PLACES, STREAMS, Case, TruthOf

SWEEP_POSITIONS = 40
IN_THE_BODY = ("mid-event", "boundary", "last-byte")
# Nothing on the wire tells an end in the midst of a plain body from its end, if the close is its framing.
BREAKS = [
    (case, place, cut)
    for case in CASES
    for place in PLACES
    for cut in ("reset", "close")
    if case.stream or (case.framing, cut) != ("close", "close") or place not in IN_THE_BODY
]


@pytest.mark.parametrize(("case", "place", "cut"), BREAKS, ids=str)
def test_an_answer_that_breaks_off_is_told_as_broken(
    harmed: Gateway, truth_of: TruthOf, faults: Faults, case: Case, place: str, cut: Any
) -> None:
    truth = truth_of(case)
    faults.cut, faults.cut_after = cut, truth.place(place)

    outcome = ask(harmed.port, case.target, case.body())

    assert truth.check(outcome, faults) in (None, "upstream_lost")


@pytest.mark.parametrize("cut", ["reset", "close"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_answer_that_breaks_off_anywhere_is_told_as_broken(
    harmed: Gateway, truth_of: TruthOf, faults: Faults, case: Case, cut: Any
) -> None:
    truth = truth_of(case)
    faults.cut = cut
    for position in random.Random(f"{case} {cut}").sample(range(len(truth.wire)), SWEEP_POSITIONS):
        faults.cut_after = position
        if not truth.looks_whole(faults):
            truth.check(ask(harmed.port, case.target, case.body()), faults)


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_that_ends_politely_but_unfinished_is_broken(
    gateway: Gateway, fake: FakeVllm, case: Case
) -> None:
    outcome = ask(gateway.port, case.target, case.body(done=False))

    sent = fake.sent(outcome.request_id)
    code = check_broken_stream(outcome, sent, case.target, sent.count(b"\n\n"))
    assert code in (None, "upstream_lost")
    assert END_MARKS[case.target] not in outcome.body


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_log_names_a_lost_upstream(gateway: Gateway, case: Case) -> None:
    outcome = ask(gateway.port, case.target, case.body(fail_after=2, failure="reset"))

    assert gateway.log_line(request_id=outcome.request_id)["outcome"] == "upstream_lost"
