"""What the scripted upstream sends has the sizes that are counted with."""

import json

import pytest

from benchmarks.answers import BLOCK_BYTES, DONE, FIRST, LAST, USAGE_EVENT, Wish, plain, stamped_event
from benchmarks.bodies import PROMPT_BYTES, chat, opencode
from benchmarks.peer import Peer, Stream


def test_a_wish_survives_a_json_text() -> None:
    wish = Wish(1000, 0.02, 250, 1, 200, "a-1")
    body = json.dumps({"messages": [{"role": "user", "content": "hello " + wish.text()}]}).encode()

    assert Wish.read(body) == wish


def test_a_request_without_a_wish_gets_a_plain_answer() -> None:
    assert Wish.read(b'{"model": "m"}') == Wish()


@pytest.mark.parametrize("size", [230, 231, 1000])
def test_an_event_has_its_size_and_its_time(size: int) -> None:
    event = stamped_event(size, 12.25)
    length, data, rest = event.split(b"\r\n")

    assert (int(length, 16), len(data), rest) == (size, size, b"")
    assert (
        b"@0000000012.250000@"
        in json.loads(data.removeprefix(b"data: "))["choices"][0]["delta"]["content"].encode()
    )


@pytest.mark.parametrize("event", [FIRST, LAST, USAGE_EVENT])
def test_the_other_events_are_json(event: bytes) -> None:
    assert json.loads(event.removeprefix(b"data: "))["object"] == "chat.completion.chunk"


def test_a_plain_answer_is_as_long_as_it_says() -> None:
    head, _, body = plain(200).partition(b"\r\n\r\n")

    assert f"content-length: {len(body)}".encode() in head
    assert 400 < len(body) < 600


@pytest.mark.parametrize("writes", [0, 1])
def test_a_stream_at_full_speed_is_made_of_whole_events(writes: int) -> None:
    stream = Stream(Wish(events=1000, writes=writes), b"")
    sent = b""
    while stream.left:
        piece = bytes(stream.piece()[:50_000])  # the kernel takes a part
        stream.left -= len(piece)
        sent += piece

    assert sent == stamped_event(230, 0.0) * 1000
    assert len(stream.block) <= BLOCK_BYTES


def test_the_usage_event_is_sent_to_whom_it_was_promised() -> None:
    assert USAGE_EVENT in Stream(Wish(1), b'{"stream_options": {"include_usage": true}}').end
    assert USAGE_EVENT not in Stream(Wish(1), b'{"stream_options": {"include_usage": false}}').end
    assert DONE in Stream(Wish(1), b"").end


def test_a_request_is_taken_once_it_is_whole() -> None:
    request = chat(Wish(), size=1000)
    peer = Peer(None)
    peer.received = request.raw[:-1]

    assert peer.take_request() is None
    peer.received += request.raw[-1:] + b"GET"
    taken = peer.take_request()
    assert taken is not None
    assert taken[1] == request.body
    assert peer.received == b"GET"


def test_a_chat_request_has_about_its_size() -> None:
    assert 900 < len(chat(Wish(), size=1000).body) < 1100


def test_a_long_prompt_has_opencodes_size_and_tools() -> None:
    content = json.loads(opencode(Wish(8)).body)

    assert 0.9 * PROMPT_BYTES < len(json.dumps(content)) < 1.1 * PROMPT_BYTES
    assert [tool["function"]["name"] for tool in content["tools"]][:2] == ["bash", "edit"]
