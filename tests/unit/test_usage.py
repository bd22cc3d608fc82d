"""Token usage: found in what passes by, and counted where an answer ends before it tells."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects import choose_inspector
from app.routes import Api
from app.usage import MAX_TOKENS, MAX_USAGE_BYTES, Usage, UsageTail, usage_of
from tests.fake_answers import Script, chat_events, messages_events, responses_events
from tests.unit.test_framing import cuts

USAGE = {"prompt_tokens": 5, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 4}}
SIZES = st.lists(st.integers(1, 90), min_size=1, max_size=5)


def found(body: bytes, sizes: list[int]) -> Usage | None:
    tail = UsageTail()
    for piece in cuts(body, sizes):
        tail.feed(piece)
    return tail.usage()


@given(SIZES, st.integers(0, 200), st.booleans())
def test_usage_is_found_however_the_body_is_cut(sizes: list[int], length: int, spaced: bool) -> None:
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps({"choices": "x" * length, "usage": USAGE, "more": "y" * length}, separators=separators)

    assert found(text.encode(), sizes) == Usage(5, 6, 4)


def test_usage_is_found_in_front_of_a_long_rest() -> None:
    tokens = [{"token": "usage", "bytes": [1] * 50}] * 2000
    body = json.dumps({"usage": USAGE, "prompt_logprobs": tokens}).encode()

    assert found(body, [65536]) == Usage(5, 6, 4)


@given(st.binary(max_size=300), SIZES)
def test_garbage_has_no_usage(garbage: bytes, sizes: list[int]) -> None:
    assert found(b'{"usage":{' + garbage.replace(b"}", b""), sizes) is None


@pytest.mark.parametrize("count", [-1, MAX_TOKENS + 1, 10**30, 10**400, True, "7", 7.5, None])
def test_what_can_be_no_number_of_tokens_is_none(count: Any) -> None:
    told = {
        "prompt_tokens": count,
        "completion_tokens": count,
        "prompt_tokens_details": {"cached_tokens": count},
    }

    assert usage_of({"usage": told}) == Usage()


def test_what_is_kept_is_bounded() -> None:
    tail = UsageTail()
    tail.feed(b'{"usage":{')
    for _ in range(100):
        tail.feed(b"x" * 65536)

    assert len(tail._found) <= MAX_USAGE_BYTES


def role_event() -> bytes:
    delta = {"role": "assistant", "content": ""}
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"


def text_events() -> list[bytes]:
    choice = {"index": 0, "text": 'word with "text" and "delta"', "finish_reason": None}
    return [b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"] * 9


ASKED: dict[str, Any] = {"model": "m"}
STREAMS = {
    Api.CHAT: [role_event(), *chat_events(ASKED, Script(events=9))],
    Api.COMPLETIONS: text_events(),
    Api.RESPONSES: responses_events(ASKED, Script(events=9))[1:],
    Api.MESSAGES: messages_events(ASKED, Script(events=9))[2:],
}


@pytest.mark.parametrize("api", STREAMS)
@given(sizes=SIZES, streamed=st.integers(0, 8))
def test_a_stream_that_ends_early_is_counted_by_what_was_streamed(
    api: Api, sizes: list[int], streamed: int
) -> None:
    inspector = choose_inspector(api, streamed=True, choices=1, drop_usage=True)
    lead = 1 if api is Api.CHAT else 0
    for piece in cuts(b"".join(STREAMS[api][: lead + streamed]), sizes):
        inspector.feed(piece)

    counted = inspector.account()

    assert counted == (Usage(0, streamed, 0, is_partial=True) if streamed else None)


def test_a_message_that_ends_early_still_tells_its_prompt() -> None:
    inspector = choose_inspector(Api.MESSAGES, streamed=True, choices=1, drop_usage=False)
    inspector.feed(b"".join(messages_events(ASKED, Script(events=9))[:5]))

    assert inspector.account() == Usage(7, 3, 0, is_partial=True)


def test_a_whole_stream_is_counted_as_the_upstream_told() -> None:
    inspector = choose_inspector(Api.CHAT, streamed=True, choices=1, drop_usage=True)
    wish = {"stream_options": {"include_usage": True}}
    inspector.feed(b"".join(chat_events(wish, Script(events=9))))
    inspector.end()

    assert inspector.account() == Usage(7, 9, 3)


def test_an_answer_that_was_not_streamed_and_broke_used_nothing_that_is_known() -> None:
    inspector = choose_inspector(Api.CHAT, streamed=False, choices=1, drop_usage=False)
    inspector.feed(json.dumps({"usage": USAGE}).encode())

    assert inspector.account() is None
