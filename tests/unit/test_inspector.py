"""A completion that is not streamed: its bytes pass, except an end that clients would not understand."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inspector import HELD_BYTES, CompletionInspector
from tests.fake_answers import Script, completion
from tests.unit.test_framing import cuts

SIZES = st.lists(st.integers(1, 90), min_size=1, max_size=5)


def run(body: bytes, sizes: list[int]) -> tuple[CompletionInspector, bytes]:
    inspector = CompletionInspector()
    passed = b""
    for piece in cuts(body, sizes):
        passed += inspector.feed(piece)
        if inspector.failure is not None:
            return inspector, passed
    return inspector, passed + inspector.end()


def answer(reason: str | None, spaces: str = "") -> bytes:
    asked: dict[str, Any] = {"model": "m"}
    text = json.dumps(completion(asked, Script(events=20, finish_reason=reason)), separators=(",", ":"))
    return text.replace('"finish_reason":', f'"finish_reason"{spaces}:{spaces}').encode()


@given(SIZES, st.sampled_from(["stop", "length", "tool_calls", None]))
def test_a_usual_answer_passes_unchanged_however_it_is_cut(sizes: list[int], reason: str | None) -> None:
    body = answer(reason)

    inspector, passed = run(body, sizes)

    assert passed == body
    assert inspector.failure is None
    usage = inspector.account()
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.is_partial) == (7, 20, False)


@given(SIZES, st.sampled_from(["", " ", "\n\t"]))
def test_a_repetition_is_told_as_length_in_as_many_bytes(sizes: list[int], spaces: str) -> None:
    body = answer("repetition", spaces)

    _, passed = run(body, sizes)

    assert len(passed) == len(body)
    assert json.loads(passed)["choices"][0]["finish_reason"] == "length"
    assert {**json.loads(passed), "choices": None} == {**json.loads(body), "choices": None}


@given(SIZES, st.sampled_from(["abort", "error"]))
def test_an_answer_that_was_aborted_is_broken(sizes: list[int], reason: str) -> None:
    body = answer(reason)

    inspector, passed = run(body, sizes)

    assert inspector.failure is not None
    assert body.startswith(passed)
    assert len(passed) < len(body)


def test_generated_text_about_an_end_is_only_text() -> None:
    told = {"choices": [{"message": {"content": '"finish_reason":"abort" "finish_reason":"repetition"'}}]}
    body = json.dumps(told).encode()

    inspector, passed = run(body, [7])

    assert passed == body
    assert inspector.failure is None


@pytest.mark.parametrize("size", [1, HELD_BYTES, 1000])
def test_no_more_is_held_than_an_end_needs(size: int) -> None:
    inspector = CompletionInspector()

    assert len(inspector.feed(b"x" * size)) == max(0, size - HELD_BYTES)
