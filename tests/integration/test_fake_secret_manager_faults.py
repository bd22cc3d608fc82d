"""The stand-in for Secret Manager fails, lives and ends as a test tells it to."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import Any

import google_crc32c
import pytest
from google.api_core.exceptions import Forbidden, InternalServerError, ServiceUnavailable, TooManyRequests
from requests.exceptions import ConnectionError as Disconnected
from requests.exceptions import ReadTimeout

from tests.fake_secret_manager import FakeSecretManager, FakeSecretManagerThread
from tests.gateway import wait_until
from tests.local import ROOT, free_port
from tests.secret_client import LATEST, SECRET, access, refused


@pytest.fixture
def running(secret_manager: FakeSecretManagerThread) -> FakeSecretManagerThread:
    secret_manager.fake.put("p", "s", b"data")
    return secret_manager


@pytest.fixture
def fake(running: FakeSecretManagerThread) -> FakeSecretManager:
    return running.fake


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [
        (403, Forbidden, "PERMISSION_DENIED"),
        (429, TooManyRequests, "RESOURCE_EXHAUSTED"),
        (500, InternalServerError, "INTERNAL"),
        (503, ServiceUnavailable, "UNAVAILABLE"),
    ],
)
def test_a_failure_answers_every_request(
    client: Any, fake: FakeSecretManager, code: int, kind: type[Exception], status: str
) -> None:
    fake.failure = code
    with refused(kind, status):
        access(client)

    fake.failure = None
    assert access(client).payload.data == b"data"


def test_a_reset_comes_before_any_answer(client: Any, fake: FakeSecretManager) -> None:
    fake.resets = True

    with pytest.raises(Disconnected, match="reset by peer"):
        access(client)


def test_a_request_that_hangs_is_not_done_when_its_client_has_left(
    client: Any, fake: FakeSecretManager
) -> None:
    fake.hangs = True
    with pytest.raises(ReadTimeout):
        client.add_secret_version(parent=SECRET, payload={"data": b"x"}, timeout=0.1)

    fake.latency = 0.1  # enough for the first to be done before the second
    fake.hangs = False
    assert client.add_secret_version(parent=SECRET, payload={"data": b"y"}).name == f"{SECRET}/versions/2"


def test_a_request_that_hangs_is_answered_when_the_flag_is_cleared(
    client: Any, fake: FakeSecretManager
) -> None:
    def go_on() -> None:
        wait_until(lambda: fake.requests)
        fake.hangs = False

    fake.hangs = True
    clearer = threading.Thread(target=go_on)
    clearer.start()

    assert access(client).payload.data == b"data"
    clearer.join()


def test_latency_comes_before_the_answer(client: Any, fake: FakeSecretManager) -> None:
    fake.latency = 0.2
    began = time.monotonic()

    client.get_secret(name=SECRET)

    assert 0.2 <= time.monotonic() - began < 2


def test_corrupt_data_does_not_match_its_checksum(client: Any, fake: FakeSecretManager) -> None:
    fake.corrupts = True

    payload = access(client).payload

    assert len(payload.data) == len(b"data")
    assert google_crc32c.value(payload.data) != payload.data_crc32c == google_crc32c.value(b"data")


def test_a_stale_latest_is_an_older_version(client: Any, fake: FakeSecretManager) -> None:
    fake.put("p", "s", b"new")
    fake.stale_latest = 1

    assert access(client).name == f"{SECRET}/versions/1"


def test_a_stopped_fake_refuses_connections_and_starts_again_as_it_was(
    client: Any, running: FakeSecretManagerThread
) -> None:
    assert access(client)
    for _ in range(3):
        running.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port)).close()
        with pytest.raises(Disconnected):
            access(client)
        running.start()

        assert access(client).payload.data == b"data"


def test_a_stop_ends_what_hangs(client: Any, running: FakeSecretManagerThread) -> None:
    def stop_when_it_hangs() -> None:
        wait_until(lambda: running.fake.requests)
        running.stop()

    running.fake.hangs = True
    stopper = threading.Thread(target=stop_when_it_hangs)
    stopper.start()

    with pytest.raises(Disconnected):
        access(client)
    stopper.join()


def test_requests_are_remembered(client: Any, fake: FakeSecretManager) -> None:
    access(client)
    client.update_secret(secret={"name": SECRET}, update_mask={"paths": ["labels"]})

    assert fake.requests == [("GET", f"/v1/{LATEST}:access"), ("PATCH", f"/v1/{SECRET}")]


def test_a_connection_is_kept_behind_answers_and_errors(running: FakeSecretManagerThread) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)) as connection:
        connection.connect()
        sock = connection.sock
        for path, status in ((LATEST, 200), ("unknown", 404), (LATEST, 200)):
            connection.request("GET", f"/v1/{path}")
            response = connection.getresponse()
            assert response.read()
            assert (response.status, connection.sock) == (status, sock)


@pytest.mark.parametrize(("query", "state"), [("", "ENABLED"), ("?$alt=json%3Benum-encoding%3Dint", 1)])
def test_states_are_numbers_for_who_asks_for_them(
    running: FakeSecretManagerThread, query: str, state: Any
) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)) as connection:
        connection.request("GET", f"/v1/{LATEST}{query}")

        assert json.load(connection.getresponse())["state"] == state


def takes_connections(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_by_hand_until_a_signal(end: int) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tests.fake_secret_manager", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            wait_until(lambda: takes_connections(port), 15)
            with socket.create_connection(("127.0.0.1", port)):
                process.send_signal(end)

                assert process.wait(5) == 0
        finally:
            process.kill()
