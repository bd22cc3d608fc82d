"""A client that leaves frees the model: vLLM's own metrics say so."""

from typing import Any

import pytest

from tests.e2e.served import STORY, Served
from tests.gateway import wait_until

LONG_PROMPT = [{"role": "user", "content": "The dog ran over the hill. " * 1500}]  # many seconds of prefill
MANY = 2000  # tokens, so a minute or more


def running(served: Served) -> float:
    return served.metric("vllm:num_requests_running")


def finished(served: Served) -> float:
    """Generations that came to an end; vLLM 0.32 counts one that a disconnect ended nowhere."""
    return served.metric("vllm:request_success_total")


def tokens(served: Served) -> float:
    return served.metric("vllm:generation_tokens_total")


@pytest.fixture
def before(served: Served) -> tuple[float, float]:
    wait_until(lambda: running(served) == 0)
    return finished(served), tokens(served)


def leave(served: Served, body: dict[str, Any], *, events: int) -> None:
    with served.open_stream({"max_tokens": MANY, "ignore_eos": True, **body}) as client:
        wait_until(lambda: running(served) == 1)
        if events:
            client.read_head()
            parts = client.body()
            for _ in range(events):
                next(parts)


def test_leaving_in_mid_stream_ends_the_generation(served: Served, before: tuple[float, float]) -> None:
    leave(served, {"messages": STORY}, events=5)

    wait_until(lambda: running(served) == 0, 2)
    assert finished(served) == before[0]
    assert 1 <= tokens(served) - before[1] < MANY / 4


def test_leaving_in_prefill_ends_the_generation(served: Served, before: tuple[float, float]) -> None:
    leave(served, {"messages": LONG_PROMPT}, events=0)

    wait_until(lambda: running(served) == 0, 5)
    assert (finished(served), tokens(served)) == before


def test_leaving_before_a_whole_answer_ends_the_generation(
    served: Served, before: tuple[float, float]
) -> None:
    leave(served, {"messages": STORY, "stream": False}, events=0)

    wait_until(lambda: running(served) == 0, 2)
    assert finished(served) == before[0]
    assert tokens(served) - before[1] < MANY / 4
