"""No wait is without a limit, and each limit has an error of its own."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_vllm import FakeVllmThread
from tests.fault_proxy import FaultProxy, Faults
from tests.gateway import Gateway
from tests.oracle import END_MARKS, ask, asked, check_broken_stream, check_refused, take
from tests.truth import CASES, PLACES, STREAMS, Case, TruthOf

LIMIT = 1.0
WHOLE = 2.5
TARGETS = list(END_MARKS)
CHUNKED = [case for case in CASES if case.framing == "chunked"]
CHUNKED_STREAMS = [case for case in STREAMS if case.framing == "chunked"]


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, proxy: FaultProxy) -> Iterator[Gateway]:
    """A gateway behind the proxy that waits for bytes only for a moment."""
    limits = {"FIRST_BYTE_TIMEOUT_SECONDS": LIMIT, "STREAM_IDLE_TIMEOUT_SECONDS": LIMIT}
    with Gateway(tmp_path_factory.mktemp("impatient"), proxy.url, WEB_CONCURRENCY=1, **limits) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory, proxy: FaultProxy) -> Iterator[Gateway]:
    """A gateway behind the proxy that has a moment for a whole request."""
    folder = tmp_path_factory.mktemp("hurried")
    with Gateway(folder, proxy.url, WEB_CONCURRENCY=1, REQUEST_DEADLINE_SECONDS=WHOLE) as running:
        running.wait_ready()
        yield running


def test_a_connect_without_an_answer_is_a_503_after_two_seconds(tmp_path: Any) -> None:
    with (
        FakeVllmThread() as upstream,
        FaultProxy(upstream.port) as proxy,
        Gateway(tmp_path, proxy.url) as gateway,
    ):
        gateway.wait_ready()
        proxy.swallow_connects()
        started = time.monotonic()

        reply = gateway.chat()
        seconds = time.monotonic() - started

    assert (reply.status, reply.error_code) == (503, "upstream_unavailable")
    assert 1 <= int(reply.headers["retry-after"]) <= 59
    assert 1.5 < seconds < 5


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("target", TARGETS)
def test_an_upstream_that_sends_no_first_byte_is_a_504(
    impatient: Gateway, faults: Faults, target: str, stream: bool
) -> None:
    outcome = ask(impatient.port, target, asked(stream, before_head=30))

    check_refused(outcome, target)
    assert outcome.status == 504
    assert target == "/v1/messages" or b'"upstream_timeout"' in outcome.body


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", CHUNKED, ids=str)
def test_an_answer_that_hangs_is_told_as_broken(
    impatient: Gateway, truth_of: TruthOf, faults: Faults, case: Case, place: str
) -> None:
    truth = truth_of(case)
    faults.cut, faults.cut_after = "hang", truth.place(place)

    outcome = ask(impatient.port, case.target, case.body())

    assert truth.check(outcome, faults) in (None, "idle_timeout")
    assert outcome.status in (200, 504)


@pytest.mark.parametrize(
    ("setting", "script"),
    [
        ("FIRST_BYTE_TIMEOUT_SECONDS", {"before_first_event": 30}),
        ("STREAM_IDLE_TIMEOUT_SECONDS", {"interval": 30}),
    ],
)
def test_each_limit_on_silence_holds_by_itself(start_gateway: Any, setting: str, script: Any) -> None:
    gateway = start_gateway(**{setting: LIMIT})
    gateway.wait_ready()

    outcome = ask(gateway.port, TARGETS[0], asked(True, **script))

    assert b'"idle_timeout"' in outcome.body
    assert not outcome.is_whole


def test_an_error_whose_body_never_comes_is_a_504(impatient: Gateway, faults: Faults) -> None:
    script = {"status": 400, "body": "{}", "framing": "length", "fail_after": 0, "failure": "hang"}

    reply = impatient.chat(fake=script)

    assert (reply.status, reply.error_code) == (504, "upstream_timeout")


def test_a_network_that_falls_silent_is_an_idle_timeout(impatient: Gateway, faults: Faults) -> None:
    with impatient.connect() as client:
        client.send_request("POST", TARGETS[0], asked(True, events=9999, interval=0.02))
        client.read_head()
        pieces = client.body()
        next(pieces)
        faults.is_blackhole = True

        body = b"".join(pieces)

    assert b'"idle_timeout"' in body
    assert not client.is_whole


@pytest.mark.parametrize("case", CHUNKED[:2], ids=str)
def test_a_slow_but_steady_answer_outlives_the_limit_on_silence(
    start_gateway: Any, proxy: FaultProxy, truth_of: TruthOf, faults: Faults, case: Case
) -> None:
    truth = truth_of(case)
    gateway = start_gateway(proxy.url, STREAM_IDLE_TIMEOUT_SECONDS=LIMIT)
    gateway.wait_ready()
    faults.slice_bytes, faults.bandwidth = len(truth.wire) // 15, len(truth.wire) // 5
    started = time.monotonic()

    outcome = ask(gateway.port, case.target, case.body())

    assert time.monotonic() - started > 3 * LIMIT
    assert (outcome.body, outcome.is_whole) == (truth.body, True)


@pytest.mark.parametrize("case", CHUNKED_STREAMS, ids=str)
def test_a_stream_past_the_whole_requests_limit_is_broken_and_says_so(
    hurried: Gateway, faults: Faults, case: Case
) -> None:
    with hurried.connect() as client:
        client.send_request("POST", case.target, asked(True, events=9999, interval=0.05))
        client.read_head()
        outcome = take(client)

    told = outcome.body.count(b"\n\n") - 1
    truth = b"".join(event + b"\n\n" for event in outcome.body.split(b"\n\n")[:told]) + b"data: more\n\n"
    assert check_broken_stream(outcome, truth, case.target, told) in (None, "deadline_exceeded")
    assert told > 1


def test_a_plain_answer_past_the_whole_requests_limit_is_cut(hurried: Gateway, faults: Faults) -> None:
    script = {"framing": "length", "fail_after": 0, "failure": "hang"}

    outcome = ask(hurried.port, TARGETS[0], asked(False, **script))

    assert (outcome.status, outcome.is_whole) == (200, False)
    line = hurried.log_line(request_id=outcome.request_id)
    assert line["outcome"] == "deadline_exceeded"


@pytest.mark.parametrize(("target", "stream"), [(TARGETS[0], False), *((target, True) for target in TARGETS)])
def test_a_request_past_its_limit_before_the_first_byte_is_a_504(
    hurried: Gateway, faults: Faults, target: str, stream: bool
) -> None:
    outcome = ask(hurried.port, target, asked(stream, before_head=30))

    check_refused(outcome, target)
    assert outcome.status == 504
    line = hurried.log_line(request_id=outcome.request_id)
    assert line["outcome"] == "deadline_exceeded"
