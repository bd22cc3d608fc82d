"""What the gateway is compared with does the work that it is measured at, and leaves nothing behind."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks import subjects
from tests.client import KEY, RawClient
from tests.fake_vllm import FakeVllmThread
from tests.gateway import chat_body
from tests.measure.program import StartFailed

pytestmark = pytest.mark.timeout(200)  # LiteLLM takes seconds to start, more where others run

CPU = max(os.sched_getaffinity(0))
WRONG_KEY = "sk-test-wrong-0123456789"
PROXIES = [name for name in subjects.NAMES if name != "bare-flask"]


@pytest.fixture(scope="module", params=subjects.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """A subject that is installed."""
    if not subjects.is_installed(request.param):
        pytest.skip(f"{request.param} is not installed; `make bench-setup` says how")
    return str(request.param)


@pytest.fixture(scope="module")
def subject(
    name: str, tmp_path_factory: pytest.TempPathFactory, upstream: FakeVllmThread
) -> Iterator[subjects.Subject]:
    """It, in front of the fake vLLM."""
    url = f"http://127.0.0.1:{upstream.port}"
    with subjects.start(name, tmp_path_factory.mktemp("subjects"), url, CPU) as running:
        yield running


def ask(port: int, *, stream: bool, key: str = KEY) -> RawClient:
    """A client that has read the head of an answer to a chat."""
    client = RawClient(port)
    body = chat_body(stream=stream)
    client.send_request("POST", "/v1/chat/completions", body, X_API_Key=key, Authorization=f"Bearer {key}")
    client.read_head()
    return client


def streamed_text(stream: bytes) -> str:
    """The words of a stream that has its end."""
    *events, done = [event.removeprefix(b"data: ") for event in stream.split(b"\n\n") if event]
    assert done == b"[DONE]"
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.mark.parametrize("name", PROXIES, indirect=True)
def test_a_stream_comes_whole(name: str, subject: subjects.Subject) -> None:
    with ask(subject.port, stream=True) as client:
        stream = client.read_body()

    assert (client.status, client.is_whole) == (200, True)
    assert streamed_text(stream) == "The capital of France is "


def test_a_plain_answer_comes_whole(name: str, subject: subjects.Subject) -> None:
    with ask(subject.port, stream=False) as client:
        answer = json.loads(client.read_body())

    assert (client.status, client.is_whole) == (200, True)
    assert answer["choices"][0]["message"]["content"].startswith("The capital of France is")


def test_a_connection_serves_a_second_request(name: str, subject: subjects.Subject) -> None:
    with ask(subject.port, stream=False) as client:
        client.read_body()
        client.send_request(
            "POST", "/v1/chat/completions", chat_body(stream=False), Authorization=f"Bearer {KEY}"
        )

        assert client.read_head() == 200


def test_a_wrong_key_is_refused_where_keys_are_checked(name: str, subject: subjects.Subject) -> None:
    with ask(subject.port, stream=False, key=WRONG_KEY) as client:
        client.read_body()

    assert client.status == subjects.REFUSAL.get(name, 200)


def test_it_runs_on_its_core_alone(name: str, subject: subjects.Subject) -> None:
    family = subject.family()

    assert {tuple(member.cpu_affinity()) for member in family} == ({(CPU,)} if name != "direct" else set())
    assert math.isnan(subject.boot_seconds) == (name == "direct")


def test_nothing_of_it_is_left(name: str, tmp_path: Path, upstream: FakeVllmThread) -> None:
    with subjects.start(name, tmp_path, f"http://127.0.0.1:{upstream.port}", CPU) as running:
        family = running.family()

    assert [member for member in family if psutil.pid_exists(member.pid)] == []


def test_a_version_is_told_of_all_that_is_installed() -> None:
    wanted = {name for name in subjects.NAMES if subjects.is_installed(name)} - {"direct"}

    assert subjects.versions().keys() == wanted
    assert all(any(letter.isdigit() for letter in version) for version in subjects.versions().values())


def test_one_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(StartFailed, match="VLLM_BASE_URL"),
        subjects.start("ours", tmp_path, "nonsense://", CPU),
    ):
        pass
