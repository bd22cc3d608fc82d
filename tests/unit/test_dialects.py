"""When a stream is whole in each API, and the few bytes that may change on the way."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.broken import BrokenStream, IdleTimeout, ServerShutdown, UpstreamLost
from app.dialects import ChatInspector, Inspector, MessagesInspector, ResponsesInspector
from app.inspector import CompletionInspector
from app.sse import split_events
from app.usage import Usage
from tests.fake_answers import Script, chat_events, completion, messages_events, responses_events
from tests.unit.test_framing import cuts

ASKED = {"model": "m", "stream_options": {"include_usage": True}}


def run(inspector: Inspector, stream: bytes, sizes: tuple[int, ...] = (64,)) -> bytes:
    passed = b""
    for piece in cuts(stream, list(sizes)):
        passed += inspector.feed(piece)
        if inspector.failure is not None:
            return passed
    return passed + inspector.end()


@given(st.integers(0, 5), st.integers(1, 4), st.lists(st.integers(1, 90), min_size=1, max_size=5))
def test_a_whole_chat_stream_passes_unchanged_however_it_is_cut(
    events: int, choices: int, sizes: list[int]
) -> None:
    stream = b"".join(chat_events({**ASKED, "n": choices}, Script(events=events)))
    inspector = ChatInspector(choices=choices, drop_usage=False)

    assert run(inspector, stream, tuple(sizes)) == stream
    assert inspector.failure is None
    assert inspector.usage == Usage(7, events, 3)


@pytest.mark.parametrize("error", [UpstreamLost(), IdleTimeout(), ServerShutdown()])
def test_opencode_reads_that_asking_again_may_help(error: BrokenStream) -> None:
    """Its own words, of version 1.18.33; without one of them an error event is final."""
    event = ChatInspector(choices=1, drop_usage=False).failure_event(error)

    assert re.search(rb"overloaded|server_error", event)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=5))
def test_only_the_usage_event_is_taken_out(sizes: list[int]) -> None:
    events = chat_events(ASKED, Script(events=3))
    inspector = ChatInspector(choices=1, drop_usage=True)

    assert run(inspector, b"".join(events), tuple(sizes)) == b"".join(events[:-2] + events[-1:])


def test_generated_text_about_usage_is_only_text() -> None:
    text = 'set "usage" {"error": 1} [DONE] "finish_reason":"stop"'
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    event = b"data: " + json.dumps({"choices": [choice]}, separators=(",", ":")).encode() + b"\n\n"
    stream = event + b"".join(chat_events(ASKED, Script(events=1)))

    inspector = ChatInspector(choices=1, drop_usage=False)

    assert run(inspector, stream) == stream
    assert inspector.failure is None


def test_comments_and_spaced_json_pass() -> None:
    final = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    stream = b": ping\n\ndata: " + json.dumps(final).encode() + b"\n\ndata: [DONE]\n\n"
    inspector = ChatInspector(choices=1, drop_usage=True)

    assert run(inspector, stream) == stream
    assert inspector.failure is None


@pytest.mark.parametrize(
    ("script", "choices"),
    [
        (Script(finish_reason=None), 1),
        (Script(finish_reason="abort"), 1),
        (Script(finish_reason="error"), 1),
        (Script(finish_reason="new_reason"), 1),
        (Script(done=False), 1),
        (Script(), 2),
    ],
)
def test_an_unfinished_chat_stream_never_tells_done(script: Script, choices: int) -> None:
    inspector = ChatInspector(choices=choices, drop_usage=False)

    passed = run(inspector, b"".join(chat_events(ASKED, script)))

    assert isinstance(inspector.failure, UpstreamLost)
    assert b"[DONE]" not in passed


def test_a_wish_for_very_many_choices_costs_no_memory() -> None:
    ChatInspector(choices=10**12, drop_usage=False)


def test_only_the_reason_of_a_repetition_is_changed() -> None:
    text = '{"choices":[{"index":0,"delta":{"content":"repetition"},"finish_reason": "repetition"}]}'
    inspector = ChatInspector(choices=1, drop_usage=False)

    passed = inspector.feed(b"data: " + text.encode() + b"\n\n")

    assert passed == b"data: " + text.replace(': "repetition"', ': "length"').encode() + b"\n\n"


@pytest.mark.parametrize("reason", [{"type": "stop"}, ["stop"], 5, True])
@pytest.mark.parametrize("index", [0, [], None])
def test_a_reason_that_is_no_text_ends_no_choice(reason: Any, index: Any) -> None:
    inspector = ChatInspector(choices=1, drop_usage=False)
    choice = {"index": index, "delta": {}, "finish_reason": reason}

    run(inspector, b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\ndata: [DONE]\n\n")

    assert isinstance(inspector.failure, UpstreamLost)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_chat_stream_cut_between_events_is_broken(count: int) -> None:
    inspector = ChatInspector(choices=1, drop_usage=False)

    run(inspector, b"".join(chat_events(ASKED, Script(events=5))[:count]))

    assert isinstance(inspector.failure, UpstreamLost)


@pytest.mark.parametrize(
    ("kind", "events"), [(MessagesInspector, messages_events), (ResponsesInspector, responses_events)]
)
def test_the_other_streams_are_whole_with_their_last_event(kind: Any, events: Any) -> None:
    stream = b"".join(events(ASKED, Script(events=4)))
    whole, broken = kind(), kind()

    assert run(whole, stream) == stream
    assert whole.failure is None
    assert whole.usage == Usage(7, 4)
    run(broken, b"".join(events(ASKED, Script(done=False))))
    assert isinstance(broken.failure, UpstreamLost)


@pytest.mark.parametrize("kind", ["response.incomplete", "response.failed"])
def test_a_response_may_end_without_success(kind: str) -> None:
    inspector = ResponsesInspector()

    run(inspector, b'data: {"type":"%b","response":{}}\n\n' % kind.encode())

    assert inspector.failure is None


def test_an_error_event_follows_a_half_event_as_one_of_its_own(monkeypatch: Any) -> None:
    monkeypatch.setattr("app.sse.MAX_HELD_BYTES", 10)
    inspector = ChatInspector(choices=1, drop_usage=False)
    inspector.feed(b'data: {"half of a very long event')

    told = inspector.failure_event(IdleTimeout())

    assert told.startswith(b"\n\ndata: ")
    assert json.loads(told.strip().removeprefix(b"data: "))["error"]["code"] == "idle_timeout"


def test_usage_of_a_plain_answer_is_read_from_its_tail() -> None:
    body = json.dumps(completion(ASKED, Script(events=4, event_bytes=100_000))).encode()
    inspector = Inspector()

    assert run(inspector, body, (1000,)) == body
    assert inspector.usage == Usage(7, 4, 3)


def test_usage_nested_beyond_reason_does_not_break_a_whole_answer() -> None:
    body = b'{"usage":' + b"[" * 10_000
    inspector = Inspector()

    assert run(inspector, body, (1000,)) == body
    assert (inspector.usage, inspector.failure) == (None, None)


@given(st.binary(max_size=300), st.lists(st.integers(1, 50), min_size=1, max_size=4))
def test_any_bytes_pass_or_break_but_never_crash(stream: bytes, sizes: list[int]) -> None:
    for inspector in (
        Inspector(),
        ChatInspector(choices=1, drop_usage=True),
        MessagesInspector(),
        ResponsesInspector(),
    ):
        passed = run(inspector, stream, tuple(sizes))
        assert stream.startswith(passed)


@given(st.text(alphabet='{}[]":,usage choiesfn_rato0123', max_size=80))
def test_any_json_in_an_event_is_survived(text: str) -> None:
    for inspector in (
        ChatInspector(choices=1, drop_usage=True),
        MessagesInspector(),
        ResponsesInspector(),
    ):
        run(inspector, b"data: " + text.encode() + b"\n\n")


POOL = [
    *(b"".join(made(ASKED, Script())) for made in (chat_events, messages_events, responses_events)),
    *chat_events(ASKED, Script(events=1)),
    *messages_events(ASKED, Script(events=1)),
    *responses_events(ASKED, Script(events=1)),
    *chat_events({**ASKED, "n": 2}, Script(events=0, finish_reason="repetition")),
    *chat_events(ASKED, Script(events=0, finish_reason="abort")),
    b'data: {"error": {"message": "x"}}\n\n',
    b'data: {"type": "error", "error": {}}\r\n\r\n',
    b'data: {"choices": "usage", "finish_reason": []}\n\n',
    b'event: x\ndata: {"usage":\ndata: {}}\n\n',
    b"data: [DONE] \r\r",
    b": [DONE]\n\n",
    b'data: {"half of an event',
    b"\n",
]


@given(
    st.lists(st.sampled_from(POOL), max_size=8).map(b"".join),
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.booleans(),
)
@example(POOL[0] + b"\n", [1], False)
@example(POOL[1] + b"\r\n", [1], False)
def test_the_verdict_on_a_stream_does_not_depend_on_how_it_is_cut(
    stream: bytes, sizes: list[int], drop_usage: bool
) -> None:
    def made() -> list[Inspector]:
        chat = ChatInspector(choices=1, drop_usage=drop_usage)
        return [chat, MessagesInspector(), ResponsesInspector(), CompletionInspector()]

    for whole, cut in zip(made(), made(), strict=True):
        passed = run(whole, stream, (len(stream) or 1,)), run(cut, stream, tuple(sizes))
        # A blank line more may stay with a dropped event, or pass before it.
        told = [[event.strip(b"\r\n") for event in split_events(each)] for each in passed]
        assert [*filter(None, told[0])] == [*filter(None, told[1])]
        assert (type(whole.failure), whole.usage) == (type(cut.failure), cut.usage)


def one_by_one(inspector: ChatInspector, events: list[bytes]) -> bytes:
    """Each event in a read of its own, as a server sends it."""
    return b"".join(inspector.feed(event) for event in events) + inspector.end()


@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_a_stream_is_whole_in_each_of_the_three_line_ends(blank: bytes) -> None:
    events = [event.removesuffix(b"\n\n") + blank for event in chat_events(ASKED, Script(events=5))]
    inspector = ChatInspector(choices=1, drop_usage=False)

    assert one_by_one(inspector, events) == b"".join(events)
    assert inspector.failure is None
    assert inspector.usage == Usage(7, 5, 3)


@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_an_error_event_is_seen_in_each_of_the_three_line_ends(blank: bytes) -> None:
    events = [event.removesuffix(b"\n\n") + blank for event in chat_events(ASKED, Script(events=2))[:-2]]
    inspector = ChatInspector(choices=1, drop_usage=False)

    one_by_one(inspector, [*events, b'data: {"error": {"message": "x"}}' + blank])

    assert inspector.has_told_failure


class ThoroughInspector(ChatInspector):
    """One that looks at every block as if it were no ordinary one."""

    def _is_ordinary(self, _block: bytes) -> bool:
        return False


@given(st.lists(st.sampled_from(chat_events(ASKED, Script(events=3))), max_size=12), st.integers(1, 400))
def test_the_first_look_at_a_block_changes_no_verdict(events: list[bytes], size: int) -> None:
    judged = []
    for kind in (ChatInspector, ThoroughInspector):
        inspector = kind(choices=1, drop_usage=True)
        passed = run(inspector, b"".join(events), (size,))
        judged.append((passed, type(inspector.failure), inspector.account()))

    assert judged[0] == judged[1]


def test_an_ending_with_other_line_ends_is_seen_beside_a_token() -> None:
    *running, last, usage, done = chat_events(ASKED, Script(events=3))
    inspector = ChatInspector(choices=1, drop_usage=False)
    crlf = done.removesuffix(b"\n\n") + b"\r\n\r\n"

    one_by_one(inspector, [*running, last, usage, running[-1] + crlf])

    assert inspector.failure is None


def test_usage_in_the_middle_of_a_stream_is_read() -> None:
    first, token, *_ = chat_events(ASKED, Script(events=2))
    told = token.replace(b'"choices"', b'"usage":{"prompt_tokens":7,"completion_tokens":1},"choices"')
    inspector = ChatInspector(choices=1, drop_usage=False)

    for event in (first, token, told):
        inspector.feed(event)

    assert inspector.account() == Usage(7, 3, is_partial=True)
