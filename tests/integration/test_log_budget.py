"""Each request has one line of log; whoever has no key cannot fill the log with them."""

import time
from typing import Any

import pytest

from app.request_log import LINES_AT_ONCE, LINES_PER_SECOND
from tests.gateway import Gateway, wait_until
from tests.integration.test_requests import MALFORMED

NOT_WRITTEN = "requests were not logged"
CORPUS = [raw for raw, _ in MALFORMED] * 12


@pytest.fixture
def gateway(start_gateway: Any) -> Gateway:
    """A gateway of one worker of which nobody has asked anything that is refused."""
    gateway: Gateway = start_gateway(WEB_CONCURRENCY=1)
    gateway.wait_ready()
    return gateway


def refused(gateway: Gateway) -> int:
    """How many refused requests have a line."""
    return len([line for line in gateway.log_lines(message="request") if 400 <= line["status"] < 500])


def test_three_hundred_malformed_requests_in_a_burst_have_one_line_each(gateway: Gateway) -> None:
    assert len(CORPUS) >= 300
    for raw in CORPUS:
        with gateway.connect() as client:
            client.sock.sendall(raw)
            client.read_head()

    wait_until(lambda: refused(gateway) >= len(CORPUS))
    assert refused(gateway) == len(CORPUS)
    assert gateway.log_lines(message=NOT_WRITTEN) == []


def test_a_flood_that_is_refused_has_few_lines_and_is_counted(gateway: Gateway) -> None:
    flood = LINES_AT_ONCE + 500
    began = time.monotonic()
    with gateway.connect() as client:
        for number in range(flood):
            target, method = (("/nothing", "GET"), ("/v1/models", "DELETE"))[number % 2]
            client.send_request(method, target)
            assert client.read_head() in (404, 405)
            client.read_body()
        gateway.chat()
        client.send_request("GET", "/v1/models")
        client.read_head()
    seconds = time.monotonic() - began
    gateway.process.terminate()
    gateway.process.wait()

    assert LINES_AT_ONCE <= refused(gateway) <= LINES_AT_ONCE + LINES_PER_SECOND * (seconds + 1)
    told = gateway.log_lines(message=NOT_WRITTEN)
    assert refused(gateway) + sum(line["count"] for line in told) == flood
    assert {status for line in told for status in line["statuses"]} <= {"404", "405"}
    assert len(gateway.log_lines(message="request", key_name="tester")) == 2
