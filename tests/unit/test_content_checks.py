"""Prompts and messages: the server fetches nothing, unpacks nothing, takes nothing of others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidField
from app.policy import Policy
from app.settings import Settings

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
EMBEDDINGS, TOKENIZE = "/v1/embeddings", "/tokenize"
DATA = "data:image/png;base64,iVBORw0KGgo="


def is_refused(fields: dict[str, Any], path: str = CHAT, **settings: Any) -> bool:
    try:
        Policy(Settings(**settings)).review(path, fields, "salt")
    except InvalidField as error:
        return error.param in fields
    return False


def said(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


CARRIERS = [  # path, a body that holds the URL
    (CHAT, lambda url: {"messages": said({"type": "image_url", "image_url": {"url": url}})}),
    (CHAT, lambda url: {"messages": said({"type": "image_url", "image_url": url})}),
    (CHAT, lambda url: {"messages": said({"type": "text", "text": "a", "video_url": {"url": url}})}),
    (CHAT, lambda url: {"messages": said({"audio_url": {"url": url, "detail": "x"}})}),
    (CHAT, lambda url: {"messages": [{"role": "tool", "content": [{"image_url": url}]}]}),
    (TOKENIZE, lambda url: {"messages": said({"type": "image_url", "image_url": url})}),
    (EMBEDDINGS, lambda url: {"messages": [said({"image_url": url}), said({"image_url": DATA})]}),
    (EMBEDDINGS, lambda url: {"input": said({"image_url": url})}),
    (RESPONSES, lambda url: {"input": said({"type": "input_image", "image_url": url})}),
    (RESPONSES, lambda url: {"input": [{"type": "function_call_output", "output": [{"image_url": url}]}]}),
    (RESPONSES, lambda url: {"input": [{"type": "x", "output": {"type": "y", "image_url": url}}]}),
    (RESPONSES, lambda url: {"input": said({"type": "input_file", "file_url": url})}),
    (MESSAGES, lambda url: {"messages": said({"type": "image", "source": {"type": "url", "url": url}})}),
    (MESSAGES, lambda url: {"system": [{"type": "image", "source": {"type": "url", "url": url}}]}),
    (MESSAGES, lambda url: {"messages": said(tool_result({"type": "image", "source": {"url": url}}))}),
]  # fmt: skip


def tool_result(part: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a"}, part]}


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/", "https://example.com/a.png", "HTTP://h", "file:///etc/passwd", "ftp://h/x",
     "//h/x", " data:x", "", "httpx://h", "gs://b/o", 5, ["data:x"], True, {"url": "http://h"}],
)  # fmt: skip
@pytest.mark.parametrize(("path", "body_with"), CARRIERS)
def test_a_medium_that_would_be_fetched_is_refused(path: str, body_with: Any, url: Any) -> None:
    assert is_refused(body_with(url), path)


@pytest.mark.parametrize("url", [DATA, "DATA:image/png;base64,AA==", None])
@pytest.mark.parametrize(("path", "body_with"), CARRIERS)
def test_a_medium_in_the_body_passes(path: str, body_with: Any, url: Any) -> None:
    assert not is_refused(body_with(url), path)


@pytest.mark.parametrize(("path", "body_with"), CARRIERS)
def test_the_owner_may_let_the_server_fetch_over_http(path: str, body_with: Any) -> None:
    assert not is_refused(body_with("https://example.com/a.png"), path, allow_media_urls=True)
    assert is_refused(body_with("file:///etc/passwd"), path, allow_media_urls=True)
    assert is_refused(body_with("httpx://h"), path, allow_media_urls=True)


@pytest.mark.parametrize(
    "key", ["image_pil", "image_embeds", "audio_embeds", "video_embeds", "prompt_embeds"]
)
def test_tensors_are_refused(key: str) -> None:
    assert is_refused({"messages": said({"type": "text", "text": "a", key: "gASV"})})
    assert is_refused({"messages": said({"type": key, "data": "AAAA"})})
    assert not is_refused({"messages": said({key: "x"})}, allowed_fields="media_embeds")


@pytest.mark.parametrize("uuid", ["a", "", 0, False])
def test_a_part_that_refers_to_what_others_sent_is_refused(uuid: Any) -> None:
    part = {"type": "image_url", "image_url": None, "uuid": uuid}

    assert is_refused({"messages": said(part)})
    assert not is_refused({"messages": said(part)}, allowed_fields="media_uuid")


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "see https://example.com/a.png"}],
        [{"role": "user", "content": "x", "uuid": "of a session log"}],
        said({"type": "text", "text": '{"image_url":"http://h"}'}),
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"function": {"arguments": '{"image_url":1}'}}],
            }
        ],
        [{"role": "assistant", "content": [{"type": "tool_use", "input": {"image_url": "http://h"}}]}],
        said({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}),
        said({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}),
        said("a plain text", 5, None),
        ["x"],
        [None],
    ],
)
def test_words_about_addresses_are_only_words(messages: Any) -> None:
    assert not is_refused({"messages": messages})


anything = st.recursive(
    st.none() | st.booleans() | st.text(max_size=4) | st.just("http://h"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "output", "image_url", "source", "url", "type"]), inner)
    ),
    max_leaves=12,
)


def holds_address(value: Any) -> bool:
    """Whether an address stands where a part of a message may have one."""
    if isinstance(value, list):
        return any(holds_address(child) for child in value)
    if not isinstance(value, dict):
        return False
    places = [value.get("image_url"), value.get("source")]
    urls = [place.get("url") if isinstance(place, dict) else place for place in places[:1]]
    urls += [place.get("url") for place in places[1:] if isinstance(place, dict)]
    return "http://h" in urls or any(holds_address(value.get(key)) for key in ("content", "output"))


@given(st.lists(anything, max_size=3))
def test_no_address_gets_past_however_it_is_wrapped(messages: list[Any]) -> None:
    if holds_address(messages):
        assert is_refused({"messages": messages})
