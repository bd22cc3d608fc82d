"""A client that leaves frees the model, in every API: vLLM's own metrics say so."""

from contextlib import ExitStack
from typing import Any

import pytest

from tests.client import RawClient
from tests.e2e.served import STORY, Served
from tests.gateway import wait_until

LONG_PROMPT = [{"role": "user", "content": "The dog ran over the hill. " * 1500}]  # many seconds of prefill
MANY = 2000  # tokens, so a minute or more
CHAT = "/v1/chat/completions"
ASKED: dict[str, dict[str, Any]] = {
    CHAT: {"messages": STORY, "max_tokens": MANY},
    "/v1/completions": {"prompt": "Once upon a time", "max_tokens": MANY},
    "/v1/responses": {"input": "Write a long story about a dog.", "max_output_tokens": MANY},
    "/v1/messages": {"messages": STORY, "max_tokens": MANY},
}
SEEN_SECONDS = 30.0
FREED_SECONDS = 2.0  # to be seen in the metrics; a step of the engine on this processor takes up to a second


def running(served: Served) -> float:
    return served.metric("vllm:num_requests_running")


def waiting(served: Served) -> float:
    return served.metric("vllm:num_requests_waiting")


def finished(served: Served) -> float:
    """Generations that came to an end; vLLM 0.32 counts one that a disconnect ended nowhere."""
    return served.metric("vllm:request_success_total")


def tokens(served: Served) -> float:
    return served.metric("vllm:generation_tokens_total")


@pytest.fixture
def before(served: Served) -> tuple[float, float]:
    wait_until(lambda: running(served) == 0, SEEN_SECONDS)
    return finished(served), tokens(served)


def start(served: Served, target: str, **changed: Any) -> RawClient:
    """A long generation, from the moment on at which the engine works on it."""
    body = {"ignore_eos": True, **ASKED[target], **changed}
    client = served.open_stream(body, target)
    wait_until(lambda: running(served) == 1, SEEN_SECONDS)
    return client


def read_events(client: RawClient, count: int) -> None:
    client.read_head()
    pieces = client.body()
    for _ in range(count):
        next(pieces)


@pytest.mark.parametrize("target", ASKED)
def test_leaving_in_mid_stream_ends_the_generation(
    served: Served, before: tuple[float, float], target: str
) -> None:
    with start(served, target) as client:
        read_events(client, 5)

    wait_until(lambda: running(served) == 0, FREED_SECONDS)
    assert finished(served) == before[0]
    assert 1 <= tokens(served) - before[1] < MANY / 4


@pytest.mark.parametrize("target", ASKED)
def test_leaving_before_a_whole_answer_ends_the_generation(
    served: Served, before: tuple[float, float], target: str
) -> None:
    start(served, target, stream=False).sock.close()

    wait_until(lambda: running(served) == 0, FREED_SECONDS)
    assert finished(served) == before[0]
    assert tokens(served) - before[1] < MANY / 4


def test_leaving_in_prefill_ends_the_generation(served: Served, before: tuple[float, float]) -> None:
    start(served, CHAT, messages=LONG_PROMPT).sock.close()

    wait_until(lambda: running(served) == 0, SEEN_SECONDS)  # a step of prefill is never cut short
    assert (finished(served), tokens(served)) == before


def test_leaving_the_queue_leaves_nothing_behind(served: Served, before: tuple[float, float]) -> None:
    with ExitStack() as working:
        for _ in range(served.most_at_once):
            working.enter_context(served.open_stream({**ASKED[CHAT], "ignore_eos": True}))
        wait_until(lambda: running(served) == served.most_at_once, SEEN_SECONDS)
        with served.open_stream(ASKED[CHAT]):
            wait_until(lambda: waiting(served) == 1, SEEN_SECONDS)

        wait_until(lambda: waiting(served) == 0, FREED_SECONDS)
        assert running(served) == served.most_at_once

    wait_until(lambda: running(served) == 0, FREED_SECONDS)
    assert finished(served) == before[0]
