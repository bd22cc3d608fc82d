"""Short runs of the fuzzers with a fixed seed, and that the player finds what a bad server does."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import player
from tests.fuzz.__main__ import KINDS, replay
from tests.fuzz.campaign import Result
from tests.fuzz.inputs import Input
from tests.fuzz.player import Outcome, play
from tests.fuzz.subject import Subject, started

SEED = 1


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    with started(tmp_path_factory.mktemp("fuzzed")) as running:
        yield running


@pytest.mark.parametrize(("kind", "count"), [("raw", 3000), ("bodies", 500), ("contract", 150)])
def test_fuzzing_finds_nothing(subject: Subject, kind: str, count: int) -> None:
    result = KINDS[kind](subject, Result(kind), count, SEED)

    assert result.findings + subject.aftermath() == []
    assert result.requests == count
    assert result.contacts > count // 20
    assert {200, 400, 401} <= result.statuses.keys() or kind == "bodies"


def test_the_same_seed_makes_the_same_inputs(subject: Subject) -> None:
    results = [KINDS["bodies"](subject, Result("bodies"), 50, SEED) for _ in range(2)]

    assert results[0].statuses == results[1].statuses


def test_an_input_that_was_kept_can_be_played_again(
    subject: Subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "input.json"
    Input((b"GET /health/live HT", b"TP/1.1\r\nHost: \xff\r\n\r\n"), 0.01).write(file, ["why"])

    assert replay(subject, file) == 0
    assert "HTTP/1.1 400" in capsys.readouterr().out


FIELDS = b"Connection: %b\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: req_" + b"0" * 32 + b"\r\n"
KEPT = b"HTTP/1.1 200 OK\r\n" + FIELDS % b"keep-alive" + b"Content-Length: 2\r\n\r\n{}"
LAST = KEPT.replace(b"keep-alive", b"close")
ASKED = Input((b"GET / HTTP/1.1\r\nHost: g\r\n\r\n",))


def answered(wire: bytes, sent: Input, *, resets: bool = False) -> Outcome:
    """What the player thinks of a server that says just this."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(wire)
                if not resets:  # else the unread rest makes one
                    while client.recv(65536):
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return play(server.getsockname()[1], sent)
        finally:
            thread.join()


@pytest.mark.parametrize(
    ("wire", "problem"),
    [
        (b"", "silence"),
        (KEPT, "silence"),
        (b"SSH-2.0\r\n\r\n", "no HTTP: b'SSH-2.0"),
        (LAST + LAST, "stray bytes: b'HTTP/1.1 200 OK"),
        (KEPT + b"GARBAGE\r\n\r\n", "no HTTP: b'GARBAGE"),
        (KEPT + KEPT.replace(b"200", b"404"), "a kept connection that does not serve"),
        (LAST.replace(b"200", b"502"), "the status 502"),
    ],
    ids=["no answer", "no second", "no HTTP", "two answers", "garbage behind", "lost", "an error"],
)
def test_the_player_finds_what_a_bad_server_does(
    monkeypatch: pytest.MonkeyPatch, wire: bytes, problem: str
) -> None:
    monkeypatch.setattr(player, "PATIENCE", 0.3)

    outcome = answered(wire, ASKED)

    assert [found for found in outcome.problems if found.startswith(problem)]


def test_the_player_finds_a_reset() -> None:
    outcome = answered(b"HTTP/1.1 200", Input((ASKED.data + b"x" * 200_000,)), resets=True)

    assert "a reset" in outcome.problems


def test_the_player_finds_nothing_where_nothing_is() -> None:
    assert answered(LAST, ASKED).problems == []
    assert answered(KEPT + KEPT, ASKED).problems == []
