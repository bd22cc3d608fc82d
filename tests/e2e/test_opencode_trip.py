"""The real OpenCode works with a scripted model through the gateway: it calls tools, compacts, and stops."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.overflow import COMEBACKS
from tests.e2e.coder import Coder, posts
from tests.e2e.failures import NO_FIT
from tests.e2e.opencode import run_opencode, start_opencode, write_project
from tests.fake_answers import MODEL
from tests.fake_vllm import FakeVllmThread, Received
from tests.gateway import KEY, Gateway, wait_until

CONTENT = 'Hello, "wörld"!\n\tC:\\temp\n🐍\n'
WRITE = {"name": "write", "arguments": {"filePath": "hello.txt", "content": CONTENT}}
READ = {"name": "read", "arguments": {"filePath": "hello.txt"}}
PIECES = 25
LOOP_SECONDS = 120.0
LONG = "and then some more of it " * 360


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeVllmThread]:
    with FakeVllmThread(fake=Coder()) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: FakeVllmThread) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("trip"), upstream.url) as running:
        running.wait_ready()
        yield running


class Trip:
    """One project with OpenCode in it, and what the model server got of it."""

    def __init__(self, folder: Path, url: str, coder: Coder) -> None:
        self.folder, self.url, self.coder = folder, url, coder
        self.events: list[dict[str, Any]] = []
        self.before = 0  # requests of earlier runs

    def prepare(self, fake: dict[str, Any]) -> None:
        """Write the project for one run, whose requests will be told."""
        write_project(self.folder, f"{self.url}/v1", MODEL, fake=fake)
        self.before = len(posts(self.coder))

    def run(self, prompt: str, *options: str, fake: dict[str, Any]) -> int:
        """Run OpenCode once; returns its exit code."""
        self.prepare(fake)
        status, self.events = run_opencode(self.folder, prompt, KEY, *options)
        return status

    @property
    def requests(self) -> list[Received]:
        """What the last run has asked for so far."""
        return posts(self.coder)[self.before :]

    @property
    def errors(self) -> list[str]:
        """What the user was shown."""
        return [event["error"]["data"]["message"] for event in self.events if event["type"] == "error"]

    def has_tools(self) -> list[bool]:
        """Of each request: a compaction has none."""
        return [bool(request.json().get("tools")) for request in self.requests]


@pytest.fixture
def trip(tmp_path: Path, gateway: Gateway, upstream: FakeVllmThread) -> Trip:
    assert isinstance(upstream.fake, Coder)
    return Trip(tmp_path, f"http://127.0.0.1:{gateway.port}", upstream.fake)


def test_opencode_writes_a_file_with_a_tool_call_in_many_pieces(trip: Trip, gateway: Gateway) -> None:
    status = trip.run("Create hello.txt", fake={"calls": [WRITE], "call_pieces": PIECES})

    assert (status, trip.errors) == (0, [])
    assert (trip.folder / "hello.txt").read_text() == CONTENT
    first, second = trip.requests
    assert first.json()["tool_choice"] == "auto"
    assert first.sent == b""  # the answer was sent raw: nothing of it was noted
    call, result = second.json()["messages"][-2:]
    assert call["tool_calls"][0]["function"]["name"] == "write"
    assert result == {"role": "tool", "tool_call_id": "call_0", "content": result["content"]}
    assert "success" in result["content"]
    lines = [gateway.log_line(request_id=request.request_id) for request in trip.requests]
    assert [(line["outcome"], line["prompt_tokens"], line["completion_tokens"]) for line in lines] == [
        ("complete", 100, 10),
        ("complete", 7, 5),
    ]


def test_opencode_goes_on_from_tool_to_tool(trip: Trip) -> None:
    status = trip.run("Create hello.txt and read it", fake={"calls": [WRITE, READ], "call_pieces": 3})

    assert status == 0
    assert len(trip.requests) == 3
    assert 'Hello, "wörld"!' in trip.requests[-1].json()["messages"][-1]["content"]
    tokens = [event["part"]["tokens"] for event in trip.events if event["type"] == "step_finish"]
    assert [(step["input"] + step["cache"]["read"], step["output"]) for step in tokens] == [
        (100, 10),
        (101, 10),
        (7, 5),
    ]


def test_without_a_gateway_opencode_compacts_without_end(
    tmp_path: Path, upstream: FakeVllmThread, trip: Trip
) -> None:
    """What the breaker is for; the window holds OpenCode's compactions, and not its fixed prompt."""
    direct = Trip(tmp_path, upstream.url, trip.coder)
    direct.prepare({"window": 20_000})

    with start_opencode(tmp_path, "Hi", KEY) as process:
        try:
            wait_until(lambda: len(direct.requests) > 20, LOOP_SECONDS)
            assert process.poll() is None
        finally:
            process.kill()

    assert direct.has_tools()[:6] == [True, False] * 3


def test_the_gateway_stops_a_compaction_that_cannot_help(trip: Trip, gateway: Gateway) -> None:
    status = trip.run("Hi", fake={"window": 20_000})

    assert (status, trip.errors[-1]) == (1, NO_FIT)
    assert trip.has_tools() == [True, False] * 3 + [True]
    lines = [gateway.log_line(request_id=request.request_id) for request in trip.requests]
    refused, compacted = ("upstream_refused", 400), ("complete", 200)
    assert [(line["outcome"], line["status"]) for line in lines] == [
        *[refused, compacted] * 3,
        ("compaction_loop", 400),
    ]


def test_the_gateway_stops_it_in_a_longer_session_too(trip: Trip) -> None:
    """As where the model was started again with a smaller window."""
    for number in range(2):
        assert trip.run(f"{number} {LONG}", *["--continue"][:number], fake={}) == 0

    status = trip.run("And on", "--continue", fake={"window": 28_000})

    assert (status, trip.errors[-1]) == (1, NO_FIT)
    assert len(trip.requests) <= 11


def test_a_conversation_that_overflows_is_compacted_and_goes_on_again_and_again(trip: Trip) -> None:
    """The same words overflow the window each time, as in a loop; but each time they are answered then."""
    window = {"window": 44_000}
    assert trip.run(LONG, fake=window) == 0
    for _ in range(COMEBACKS):
        trip.run(LONG, "--continue", fake=window)

        assert len(trip.errors) == 1
        assert "maximum context length" in trip.errors[0]
        assert trip.has_tools() == [True, False, True]
        assert trip.events[-1]["part"]["reason"] == "stop"
