"""Whatever a server answers, the doctor ends in time with a report, and never says the key."""

import json
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.doctor import asking, place
from app.doctor.examination import CHECKS
from tests.client import KEY
from tests.examined import Examination, examine, listed, streamed
from tests.front import Canned, Front, Passing, Tampering
from tests.odd_server import OddServer, read_head

SLOW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
ALIVE = {"status": "ok", "phase": "live"}
READY = {"status": "ok", "phase": "ready"}
REFUSED = {"error": {"message": "No.", "code": "missing_or_invalid_key"}}
CARD = listed()[1]
SAID = streamed([{"content": "word "}] * 12, "stop").partition("\r\n\r\n")[2].encode()
WHOLE = {"choices": [{"message": {"content": "ready"}, "finish_reason": "stop"}]}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "LEAST_FIRST_SECONDS", 2.0)
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 2.0)


def check_report(found: Examination) -> None:
    assert len(found.report["findings"]) == len(CHECKS)
    assert found.status == (1 if found.codes("fault") else 0)
    assert all(each["fix"] for each in found.report["findings"] if each["code"])


HEADS = st.sampled_from(
    [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
     b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
     b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
     b"HTTP/1.1 302 Found\r\nlocation: http://[\r\n\r\n",
     b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n",
     b"HTTP/9.9 999 \xff\r\n:\r\n\r\n", b"HTTP/1.1 200 OK\r\ndate: \xff\r\n\r\n"]
)  # fmt: skip


@SLOW
@given(head=HEADS, rest=st.binary(max_size=60))
def test_any_bytes_end_in_a_report(head: bytes, rest: bytes) -> None:
    def behave(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(head + rest)

    with OddServer(behave) as server:
        found = examine(server.url, "--wait", "0")

    check_report(found)
    assert found.status == 1


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(KEY)
NAMES = st.sampled_from(
    ["error", "message", "code", "detail", "data", "id", "max_model_len", "choices", "delta", "content",
     "usage", "completion_tokens", "tool_calls", "index", "function", "name", "arguments", "finish_reason",
     "phase", "phases", "version", "stop_reason"]
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
BODIES = VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)
KINDS = st.sampled_from(["application/json", "text/event-stream", "text/html", "", "\xff/;"])
TARGETS = ("/health/live", "/health/ready", "/v1/models", "/v1/chat/completions", "/version", "/pause")
STATUSES = st.sampled_from([200, 200, 200, 204, 301, 400, 401, 403, 404, 413, 500, 503, 504, 599])


def usual(passing: Passing) -> Canned:
    """As a gateway would answer."""
    if passing.path.startswith("/health"):
        return as_json(200, ALIVE if passing.path.endswith("live") else READY)
    if passing.path == "/v1/models":
        return Canned(200, CARD) if KEY in str(passing.headers) else as_json(401, REFUSED)
    if passing.method == "GET":
        return as_json(404, {"error": {"message": "No.", "code": "route_not_found"}})
    if passing.is_stream:
        return Canned(200, SAID, {"content-type": "text/event-stream"})
    return as_json(200, WHOLE)


def as_json(status: int, content: Any) -> Canned:
    return Canned(status, json.dumps(content).encode())


@pytest.fixture(scope="module")
def front() -> Any:
    with Front(0) as running:
        yield running


@SLOW
@given(data=st.data(), target=st.sampled_from(TARGETS))
def test_any_answers_of_one_route_end_in_a_report(front: Front, data: st.DataObject, target: str) -> None:
    odd = Canned(data.draw(STATUSES), data.draw(BODIES), {"content-type": data.draw(KINDS)})
    if data.draw(st.booleans()):
        odd.body = b"".join(b"data: " + data.draw(BODIES) + b"\n\n" for _ in range(3))
    front.tampering = Tampering(lambda passing: odd if passing.path == target else usual(passing))

    check_report(examine(front.url, "--wait", "0"))


def test_the_usual_answers_are_those_of_a_deployment_that_works(front: Front) -> None:
    front.tampering = Tampering(usual)

    assert examine(front.url).codes("fault") == ["unexpected"]  # no answer to the large body


def test_a_server_that_says_the_key_everywhere_does_not_make_the_doctor_say_it(front: Front) -> None:
    echo = {
        "error": {"message": f"{KEY} {KEY[:12]}\0{KEY[12:]}" * 9, "code": KEY},
        "data": [{"id": KEY}],
        "phase": KEY,
    }
    for target in ("/health/live", "/health/ready", "/v1/models", "/v1/chat/completions"):
        for status in (200, 302, 400, 502, 503):
            odd = as_json(status, echo)
            odd.headers["location"] = f"https://{KEY}.example/{KEY}"
            front.tampering = Tampering(
                lambda passing, t=target, o=odd: o if passing.path == t else usual(passing)
            )

            examine(front.url, "--wait", "0")
