"""A prompt that comes back and never fits is told from one that fits once it is compacted."""

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from app.error_body import error_body
from app.errors import CompactionLoop
from app.overflow import (
    COMEBACKS,
    MEMORY_SECONDS,
    OVERFLOW,
    PLACES,
    TOO_MANY_BYTES,
    Overflows,
    is_overflow,
    waiting_prompt,
)
from tests.unit.conftest import Clock
from tests.unit.test_errors import RETRIED

SECRET = b"s" * 32
VLLM = b"This model's maximum context length is 8192 tokens. However, your prompt contains 9000 input tokens"
OTHER_SERVERS = (
    b"Input length (9000) exceeds model's maximum context length (8192).",
    b"the request exceeds the available context size, try increasing it",
    b'{"error": {"code": "context_length_exceeded"}}',
    b"The input (9000 tokens) is longer than the model's context length (8192 tokens).",
)
MINE = Headers({"X-Session-Id": "ses_1"})


def body(*messages: Any) -> bytes:
    return json.dumps({"model": "m", "messages": messages}).encode()


def said(role: str, content: Any = "hello") -> dict[str, Any]:
    return {"role": role, "content": content}


PROMPT = body(said("system"), said("user"))


@pytest.fixture
def overflows() -> Overflows:
    return Overflows()


class Client:
    """Asks, and knows whether it was told that asking is in vain."""

    def __init__(self, overflows: Overflows, headers: Headers = MINE, secret: bytes = SECRET) -> None:
        self.overflows, self.headers, self.secret = overflows, headers, secret

    def is_stopped(self, prompt: bytes = PROMPT, status: int = 400, raw: bytes = VLLM) -> bool:
        """Whether this refusal was the last."""
        try:
            self.overflows.check_refusal(status, raw, self.headers, self.secret, prompt)
        except CompactionLoop:
            return True
        return False

    def tries(self, times: int, prompt: bytes = PROMPT) -> list[bool]:
        """The same prompt again and again."""
        return [self.is_stopped(prompt) for _ in range(times)]


STOPPED_AT_THIRD = [False, False, True, True]


@pytest.fixture
def client(overflows: Overflows) -> Client:
    return Client(overflows)


def test_a_prompt_that_comes_back_a_third_time_is_stopped(client: Client) -> None:
    assert client.tries(4) == STOPPED_AT_THIRD


def test_the_summary_before_a_prompt_makes_no_difference(client: Client) -> None:
    histories = (
        [said("assistant", "short")],
        [said("assistant", "a summary")],
        [said("assistant", "another")],
    )

    assert [client.is_stopped(body(*before, said("user"))) for before in histories] == STOPPED_AT_THIRD[:3]


@pytest.mark.parametrize("raw", [VLLM, *OTHER_SERVERS])
def test_what_opencode_takes_for_an_overflow_counts(client: Client, raw: bytes) -> None:
    assert [client.is_stopped(raw=raw) for _ in range(3)] == STOPPED_AT_THIRD[:3]


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (400, b"max_tokens=32000 cannot be greater than max_model_len=8192"),
        (400, b"temperature must be non-negative"),
        (404, VLLM),
        (500, VLLM),
        (400, b"Rate limit: too many tokens"),
    ],
)
def test_other_refusals_do_not_count(client: Client, status: int, raw: bytes) -> None:
    assert not any(client.is_stopped(status=status, raw=raw) for _ in range(5))


@pytest.mark.parametrize("repeated", [b"input token count", b"input length exceeds ", b"exceeds the "])
def test_a_long_refusal_is_judged_by_its_beginning(repeated: bytes) -> None:
    """Whole, some of these took the patterns minutes."""
    assert is_overflow(400, VLLM + repeated * 4000)
    assert not is_overflow(400, repeated * 4000 + VLLM)


def test_any_413_is_an_overflow() -> None:
    assert is_overflow(413, b"")


@pytest.mark.parametrize("session", ["X-Session-Id", "x-session-affinity"])
def test_either_header_names_the_session(overflows: Overflows, session: str) -> None:
    assert Client(overflows, Headers({session: "ses_1"})).tries(4) == STOPPED_AT_THIRD


@pytest.mark.parametrize("headers", [Headers(), Headers({"X-Session-Id": ""})])
def test_who_names_no_session_is_never_stopped(overflows: Overflows, headers: Headers) -> None:
    client = Client(overflows, headers)

    assert not any(client.tries(10))
    for _ in range(5):
        overflows.check_size(9000, headers, SECRET)


def test_sessions_and_keys_are_counted_apart(overflows: Overflows) -> None:
    clients = [
        Client(overflows, Headers({"X-Session-Id": session}), secret)
        for session in ("ses_1", "ses_2")
        for secret in (b"a" * 32, b"b" * 32)
    ]

    assert not any(client.is_stopped() for _ in range(2) for client in clients)
    assert all(client.is_stopped() for client in clients)


def test_a_prompt_that_is_answered_starts_anew(client: Client, overflows: Overflows) -> None:
    for _ in range(5):
        assert not any(client.tries(2))
        overflows.note_answer(MINE, SECRET, body(said("assistant", "a summary"), said("user")))


def test_the_answer_to_a_compaction_does_not_count_as_one(client: Client, overflows: Overflows) -> None:
    stopped = []
    for _ in range(3):
        stopped.append(client.is_stopped())
        overflows.note_answer(MINE, SECRET, body(said("user", "Create a summary of: hello")))

    assert stopped == STOPPED_AT_THIRD[:3]


def test_another_session_s_answer_does_not_count(client: Client, overflows: Overflows) -> None:
    client.tries(2)
    overflows.note_answer(Headers({"X-Session-Id": "ses_2"}), SECRET, PROMPT)

    assert client.is_stopped()


def test_a_conversation_that_goes_on_is_never_stopped(client: Client) -> None:
    grown = body(said("user"), said("assistant", None), {"role": "tool", "tool_call_id": "c", "content": "x"})

    assert not any(client.tries(10, grown))


def test_after_a_long_pause_the_count_starts_anew(client: Client, clock: Clock) -> None:
    client.tries(2)
    clock.go(MEMORY_SECONDS + 1)

    assert client.tries(4) == STOPPED_AT_THIRD


def test_slow_compactions_are_no_pause(client: Client, clock: Clock) -> None:
    stopped = []
    for _ in range(4):
        stopped.append(client.is_stopped())
        clock.go(MEMORY_SECONDS - 1)

    assert stopped == STOPPED_AT_THIRD


def test_the_clock_may_turn_over(client: Client, clock: Clock) -> None:
    clock.now = float(2**24 * 3 - 2)
    first = client.is_stopped()
    clock.go(5)

    assert [first, *client.tries(3)] == STOPPED_AT_THIRD


def test_answers_are_looked_at_only_while_something_is_remembered(client: Client, clock: Clock) -> None:
    assert not client.overflows.are_recent
    client.is_stopped()
    assert client.overflows.are_recent
    clock.go(MEMORY_SECONDS + 2)
    assert not client.overflows.are_recent


def test_bodies_of_the_same_size_that_are_too_large_are_stopped(overflows: Overflows) -> None:
    for length in (31_000_000, 31_000_100):
        overflows.check_size(length, MINE, SECRET)
    overflows.check_size(None, MINE, SECRET)
    overflows.check_size(35_000_000, MINE, SECRET)

    with pytest.raises(CompactionLoop) as stopped:
        overflows.check_size(31_000_200, MINE, SECRET)
    assert stopped.value.message == TOO_MANY_BYTES


def test_many_sessions_fit_into_the_same_memory(overflows: Overflows) -> None:
    for number in range(20 * PLACES):
        client = Client(overflows, Headers({"X-Session-Id": str(number)}))
        assert not client.is_stopped()

    assert client.tries(3) == [False, True, True]


def test_a_count_has_an_end(client: Client) -> None:
    assert client.tries(600)[COMEBACKS - 1 :] == [True] * (601 - COMEBACKS)


@pytest.mark.parametrize("error", [CompactionLoop(), CompactionLoop(TOO_MANY_BYTES)])
def test_what_is_said_then_is_final_for_opencode(error: CompactionLoop) -> None:
    text = json.dumps(error_body(error))

    assert error.status == 400
    assert not OVERFLOW.search(text.encode())
    assert not RETRIED.search(text)
    assert not re.search(r"\d", text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
message_like = st.fixed_dictionaries(
    {},
    optional={"role": st.sampled_from(["user", "assistant", "tool"]) | json_values, "content": json_values},
)


@given(json_values | st.fixed_dictionaries({"messages": st.lists(message_like | json_values, max_size=4)}))
def test_the_waiting_prompt_is_the_content_of_a_last_message_of_the_user(content: Any) -> None:
    found = waiting_prompt(json.dumps(content).encode())

    last: Any = None
    with suppress(TypeError, KeyError, IndexError):
        last = content["messages"][-1]
    if not isinstance(last, dict) or last.get("role") != "user":
        assert found is None
    else:
        assert found is not None
        assert (json.loads(found) if found else None) == last.get("content")


@given(st.binary(max_size=60))
def test_a_body_that_is_no_json_waits_for_nothing(data: bytes) -> None:
    assert waiting_prompt(data) is None or b"user" in data
