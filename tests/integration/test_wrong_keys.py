"""A flood of wrong keys is answered as ever, costs little, and disturbs nobody who has a key."""

import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.request_log import LINES_AT_ONCE
from app.throttle import DELAY_SECONDS, PER_MINUTE
from tests.client import RawClient
from tests.gateway import Gateway, wait_until
from tests.strangers import ask_wrong, read_401, send_wrong

NOT_WRITTEN = "requests were not logged"
TRIES = 5  # at what a machine that does other things may be too slow for


@pytest.fixture
def gateway(start_gateway: Any) -> Gateway:
    """A gateway of one worker that knows of no wrong key yet."""
    gateway: Gateway = start_gateway(WEB_CONCURRENCY=1)
    gateway.wait_ready()
    return gateway


def use_up(gateway: Gateway, **headers: str) -> None:
    """Send as many wrong keys as an address may, and some more for the seconds that this takes."""
    with gateway.connect() as client:
        ask_wrong(client, PER_MINUTE + 2, **headers)


def lines_of(gateway: Gateway, requests: int) -> list[str]:
    """End the gateway; the ids of the refused requests that have a line. The others were told of."""
    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.wait()
    written = [line["request_id"] for line in gateway.log_lines(message="request", status=401)]
    told = sum(line["count"] for line in gateway.log_lines(message=NOT_WRITTEN))
    assert len(written) + told == requests
    return written


def test_a_401_beyond_the_budget_has_the_same_bytes(gateway: Gateway) -> None:
    answers = []
    with gateway.connect() as client:
        for _ in range(PER_MINUTE + 5):
            send_wrong(client)
        for _ in range(PER_MINUTE + 5):
            client.read_head()
            answers.append((client.status, client.read_body(), client.headers))

    for _, _, headers in answers:
        del headers["x-request-id"], headers["date"]
    assert answers[0][0] == 401
    assert answers == [answers[0]] * len(answers)


@pytest.mark.parametrize("credential", [{"X_API_Key": ""}, {"Authorization": "Bearer x", "X_API_Key": ""}])
def test_a_missing_key_is_a_wrong_one_too(gateway: Gateway, credential: dict[str, str]) -> None:
    with gateway.connect() as client:
        for _ in range(PER_MINUTE + 5):
            client.send_request("GET", "/v1/models", **credential)
        for _ in range(PER_MINUTE + 5):
            read_401(client)

    assert len(lines_of(gateway, PER_MINUTE + 5)) < PER_MINUTE + 5


def test_a_valid_key_does_not_wait_behind_wrong_ones_of_its_address(gateway: Gateway) -> None:
    use_up(gateway)
    seconds = []
    with gateway.connect() as wrong, gateway.connect() as valid:
        for _ in range(TRIES):
            send_wrong(wrong)
            began = time.monotonic()
            for _ in range(TRIES):
                valid.send_request("GET", "/v1/models")
            for _ in range(TRIES):
                assert valid.read_head() == 200
                valid.read_body()
            seconds.append(time.monotonic() - began)
            read_401(wrong)

    assert min(seconds) < DELAY_SECONDS


def test_wrong_keys_beyond_the_budget_are_answered_late(gateway: Gateway) -> None:
    use_up(gateway)
    began = time.monotonic()
    with gateway.connect() as client:
        ask_wrong(client, TRIES)

    assert time.monotonic() - began >= 2 * DELAY_SECONDS


@pytest.mark.parametrize(
    ("hops", "first", "second", "is_one_client"),
    [
        (0, "203.0.113.1", "203.0.113.2", True),
        (1, "203.0.113.1", "203.0.113.2", False),
        (1, "203.0.113.1, 10.0.0.1", "203.0.113.2, 10.0.0.1", True),
        (1, "2001:db8::1", "2001:db8::2", True),
        (1, "forged", "forged too", True),
        (2, "203.0.113.1, 10.0.0.1", "203.0.113.2, 10.0.0.1", False),
        (2, "forged, 203.0.113.1, 10.0.0.1", "forged too, 203.0.113.1, 10.0.0.2", True),
        (2, "203.0.113.1", "203.0.113.2", True),
    ],
)
def test_a_client_is_the_address_that_trusted_proxies_saw(
    start_gateway: Any, hops: int, first: str, second: str, is_one_client: bool
) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=1, TRUSTED_PROXY_HOPS=hops)
    gateway.wait_ready()
    use_up(gateway, X_Forwarded_For=first)
    with gateway.connect() as client:
        asked = set(ask_wrong(client, TRIES, X_Forwarded_For=second))

    written = asked & set(lines_of(gateway, PER_MINUTE + 2 + TRIES))

    assert (len(written) < TRIES) == is_one_client


def test_a_flood_has_few_lines_and_one_that_tells_of_the_others(gateway: Gateway) -> None:
    flood = 400
    began = time.monotonic()
    with ExitStack() as opened:
        clients = [opened.enter_context(gateway.connect()) for _ in range(40)]
        for _ in range(flood // len(clients)):
            for client in clients:
                send_wrong(client)
            for client in clients:
                read_401(client)
    seconds = time.monotonic() - began

    assert PER_MINUTE <= len(lines_of(gateway, flood)) <= PER_MINUTE + seconds + 1
    told = gateway.log_lines(message=NOT_WRITTEN)
    assert len(told) <= 2 + seconds / 10
    assert {line["noisiest"] for line in told} == {"127.0.0.1"}
    assert {status for line in told for status in line["statuses"]} == {"401"}


def test_strangers_from_everywhere_share_the_lines_that_there_are(start_gateway: Any) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=1, TRUSTED_PROXY_HOPS=1)
    gateway.wait_ready()
    flood = LINES_AT_ONCE + 300
    with gateway.connect() as client:
        for number in range(flood):
            ask_wrong(client, X_Forwarded_For=f"10.0.{number // 250}.{number % 250}")
        client.send_request("GET", "/v1/models")
        client.read_head()

    assert gateway.log_line(request_id=client.request_id)["key_name"] == "tester"
    assert LINES_AT_ONCE <= len(lines_of(gateway, flood)) < flood


def test_a_crowded_worker_keeps_no_answer_back(start_gateway: Any) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=1, GUNICORN_CMD_ARGS="--worker-connections 20")
    gateway.wait_ready()
    script = {"interval": 0.1, "events": 10_000}
    with ExitStack() as opened:
        for _ in range(18):
            opened.enter_context(gateway.open_chat(fake=script))
        client = opened.enter_context(gateway.connect())
        for _ in range(PER_MINUTE + TRIES):
            send_wrong(client)
        answers = client.read_to_end()

    assert PER_MINUTE < answers.count(b"HTTP/1.1 401 ") < PER_MINUTE + TRIES
    assert answers.count(b"Connection: close") == 1


def test_answers_that_are_kept_back_when_the_gateway_stops_are_still_401s(start_gateway: Any) -> None:
    gateway = start_gateway(WEB_CONCURRENCY=1, DRAIN_SECONDS=0.01)
    gateway.wait_ready()
    use_up(gateway)
    with ExitStack() as opened:
        clients = [opened.enter_context(gateway.connect()) for _ in range(TRIES)]
        for client in clients:
            send_wrong(client)
        wait_until(lambda: all(map(is_read, clients)))
        gateway.process.send_signal(signal.SIGTERM)

        assert [client.read_head() for client in clients] == [401] * TRIES
        for client in clients:
            assert client.headers["content-length"] == str(len(client.read_body()))
            assert client.read_to_end() == b""
    assert gateway.process.wait(5) == 0


def is_read(client: RawClient) -> bool:
    """Whether the gateway has taken the request from its socket."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[2].split(":")[1], 16) == client.port:
            return fields[4].endswith(":00000000")
    return False


def test_half_a_close_is_no_way_around_the_delay(gateway: Gateway) -> None:
    use_up(gateway)
    began = time.monotonic()
    with gateway.connect() as client:
        for _ in range(TRIES):  # some of these are within the budget again
            send_wrong(client)
        client.sock.shutdown(1)
        answers = client.read_to_end()

    assert answers.count(b"HTTP/1.1 401 ") == TRIES
    assert time.monotonic() - began >= 2 * DELAY_SECONDS
