"""The official SDKs raise whenever a stream breaks, and OpenCode asks again a bounded number of times."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.opencode import run_opencode
from tests.fake_answers import MODEL
from tests.fake_vllm import FakeVllm, FakeVllmThread
from tests.gateway import KEY, Gateway, wait_until
from tests.local import ROOT

MESSAGES: Any = [{"role": "user", "content": "hello"}]
FRAMINGS = ("chunked", "length", "close")
BREAKS: dict[str, dict[str, Any]] = {
    **{
        f"{failure} at {events} in {framing}": {
            "failure": failure, "fail_after": events, "framing": framing, "events": 9, "interval": 0.01,
        }
        for failure in ("reset", "close", "half_event")
        for events in (0, 1, 5, 9)
        for framing in FRAMINGS
    },
    **{f"no end in {framing}": {"finish_reason": None, "framing": framing} for framing in FRAMINGS},
    **{f"unknown end in {framing}": {"finish_reason": "abort", "framing": framing} for framing in FRAMINGS},
    **{f"no [DONE] in {framing}": {"done": False, "framing": framing} for framing in FRAMINGS},
    "an error in the stream": {"failure": "error_event", "fail_after": 2},
    "silence": {"failure": "hang", "fail_after": 3},
    "silence before the first event": {"before_first_event": 60},
    "no head": {"before_head": 60},
    "JSON instead of events": {"body": '{"choices": []}'},
    "an error before the stream": {"status": 500, "body": '{"error": {"message": "engine died"}}'},
}  # fmt: skip


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeVllmThread]:
    with FakeVllmThread() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: FakeVllmThread) -> Iterator[Gateway]:
    limits = {"FIRST_BYTE_TIMEOUT_SECONDS": 3, "STREAM_IDLE_TIMEOUT_SECONDS": 3}
    with Gateway(tmp_path_factory.mktemp("broken"), upstream.url, **limits) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def project(tmp_path: Path, gateway: Gateway) -> Path:
    """A folder with the opencode.json that our command writes."""
    flask = Path(sys.executable).with_name("flask")
    url = f"http://127.0.0.1:{gateway.port}"
    command = [flask, "--app", ROOT / "wsgi", "opencode-config", "--url", url, "--model", MODEL]
    environ = {"PATH": os.environ["PATH"], "VLLM_API_KEY": KEY}
    subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True, timeout=30)
    return tmp_path


@pytest.fixture
def broken(upstream: FakeVllmThread) -> Iterator[FakeVllm]:
    """The upstream, whose answers break as `defaults` says until the test is over."""
    upstream.fake.received.clear()
    yield upstream.fake
    upstream.fake.defaults = {}


@pytest.fixture
def openai_client(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{gateway.port}/v1", api_key=KEY, max_retries=0)


@pytest.mark.parametrize("script", BREAKS.values(), ids=BREAKS)
def test_openai_raises_when_a_chat_stream_breaks(
    openai_client: openai.OpenAI, script: dict[str, Any]
) -> None:
    with pytest.raises(openai.APIError):
        list(
            openai_client.chat.completions.create(
                model="m", messages=MESSAGES, stream=True, extra_body={"fake": script}
            )
        )


@pytest.mark.parametrize("failure", ["reset", "close"])
@pytest.mark.parametrize("events", [0, 2, 6])
def test_openai_raises_when_a_responses_stream_breaks(
    openai_client: openai.OpenAI, failure: str, events: int
) -> None:
    script = {"failure": failure, "fail_after": events}
    with pytest.raises(openai.APIError):
        list(openai_client.responses.create(model="m", input="x", stream=True, extra_body={"fake": script}))


@pytest.mark.parametrize("failure", ["reset", "close"])
@pytest.mark.parametrize("events", [0, 3, 8])
def test_anthropic_raises_when_a_message_stream_breaks(gateway: Gateway, failure: str, events: int) -> None:
    client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{gateway.port}", api_key=KEY, max_retries=0)
    script = {"failure": failure, "fail_after": events}
    with pytest.raises(anthropic.APIError):
        list(
            client.messages.create(
                model="m", messages=MESSAGES, max_tokens=9, stream=True, extra_body={"fake": script}
            )
        )


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("failure", ["reset", "close"])
def test_openai_raises_when_a_plain_answer_breaks(
    openai_client: openai.OpenAI, framing: str, failure: str
) -> None:
    script = {"framing": framing, "failure": failure, "fail_after": 0}
    with pytest.raises(openai.APIError):
        openai_client.chat.completions.create(model="m", messages=MESSAGES, extra_body={"fake": script})


RECOVERED = [
    *("reset at 5 in chunked", "half_event at 1 in chunked", "no end in chunked", "unknown end in chunked"),
    *("no [DONE] in close", "silence", "no head", "JSON instead of events"),
]


@pytest.mark.parametrize("name", RECOVERED)
def test_opencode_asks_again_after_a_break_and_goes_on(
    project: Path, gateway: Gateway, broken: FakeVllm, name: str
) -> None:
    broken.defaults = BREAKS[name]
    with ThreadPoolExecutor() as pool:
        running = pool.submit(run_opencode, project, "What is the capital of France?", KEY)
        wait_until(lambda: asked(broken) and gateway.log_lines(request_id=asked(broken)[0]), 120)
        broken.defaults = {}
        status, events = running.result()

    assert len(asked(broken)) == 2, events
    assert status == 0
    assert events[-1]["part"]["reason"] == "stop"


LASTING = ("reset at 5 in chunked", "no end in chunked")


@pytest.mark.parametrize("name", LASTING)
def test_opencode_gives_up_when_every_stream_breaks(project: Path, broken: FakeVllm, name: str) -> None:
    broken.defaults = BREAKS[name]

    status, events = run_opencode(project, "What is the capital of France?", KEY)

    assert status == 1
    assert events[-1]["type"] == "error"
    assert len(asked(broken)) == 6


def asked(server: FakeVllm) -> list[str]:
    """The ids of the clients' requests; the gateway itself may ask for a token when none come."""
    return [r.request_id for r in server.received if r.method == "POST" and r.request_id]
