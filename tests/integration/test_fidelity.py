"""The body that leaves is, byte for byte, the body that came: every route, every framing, every pace."""

from typing import Any

import pytest

from app.routes import RELAYED
from tests.fake_vllm import FakeVllm
from tests.fault_proxy import Faults
from tests.gateway import Gateway
from tests.oracle import END_MARKS, FRAMINGS, ask, asked
from tests.truth import CASES, STREAMS, Case

PLAIN_ROUTES = [route.path for route in RELAYED]
ANSWERS = [*STREAMS, *(Case(path, False, framing) for path in PLAIN_ROUTES for framing in FRAMINGS)]
MEGABYTE = 1_000_000


def check_unchanged(gateway: Gateway, fake: FakeVllm, case: Case, **script: Any) -> bytes:
    """Ask, compare the body with what the upstream sent, and return it."""
    outcome = ask(gateway.port, case.target, case.body(**script))

    sent = fake.sent(outcome.request_id)
    assert (outcome.status, outcome.is_whole) == (200, True)
    assert outcome.body == sent
    assert not case.stream or END_MARKS[case.target] in sent
    return sent


@pytest.mark.parametrize("write_bytes", [0, 1, 7])
@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_a_body_passes_unchanged_in_every_framing(
    gateway: Gateway, fake: FakeVllm, case: Case, write_bytes: int
) -> None:
    check_unchanged(gateway, fake, case, write_bytes=write_bytes)


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_body_passes_unchanged_however_the_network_cuts_it(
    harmed: Gateway, fake: FakeVllm, faults: Faults, case: Case, size: int
) -> None:
    faults.slice_bytes = size

    check_unchanged(harmed, fake, case)


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_events_that_the_network_sends_together_pass_unchanged(
    harmed: Gateway, fake: FakeVllm, faults: Faults, case: Case
) -> None:
    faults.gather = 0.05

    check_unchanged(harmed, fake, case, interval=0.005)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_answer_of_megabytes_passes_unchanged(gateway: Gateway, fake: FakeVllm, case: Case) -> None:
    sent = check_unchanged(gateway, fake, case, event_bytes=MEGABYTE)

    assert len(sent) > (4 if case.stream else 1) * MEGABYTE


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_events_with_crlf_line_ends_pass_unchanged(gateway: Gateway, fake: FakeVllm, case: Case) -> None:
    sent = check_unchanged(gateway, fake, case, newline="\r\n", write_bytes=3)

    assert sent.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("stream", [True, False])
def test_a_status_of_success_passes_as_it_is(gateway: Gateway, status: int, stream: bool) -> None:
    reply = gateway.chat(stream=stream, fake={"status": status})

    assert reply.status == status


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("target", END_MARKS)
def test_an_answer_is_never_compressed(
    gateway: Gateway, received: Any, fake: FakeVllm, target: str, stream: bool
) -> None:
    with gateway.connect() as client:
        client.send_request("POST", target, asked(stream), Accept_Encoding="gzip, br, zstd")
        client.read_head()

        assert "content-encoding" not in client.headers
        assert client.read_body() == fake.sent(client.request_id)
        wishes = [value for name, value in received(client.request_id).headers if name == "accept-encoding"]
        assert wishes == ["identity"]
