"""Checks of prompts and messages: nothing in them that the server would fetch, unpack or take from others."""

from typing import Any

from app.field_checks import Asked, Check, entries
from app.schema_checks import added_tool
from app.turns import give_turn

MEDIA_URL = "holds the address of a medium; this gateway takes media as data URLs only"
MEDIA_EMBEDS = "holds a medium in a form that this gateway does not allow"
MEDIA_UUID = "refers to a medium by an id, which this gateway does not allow"

PARTS_AT_ONCE = 4096
MEDIA_KEYS = ("image_url", "audio_url", "video_url", "file_url")
EMBEDS_KEYS = ("image_pil", "image_embeds", "audio_embeds", "video_embeds", "prompt_embeds")
TELLING_KEYS = frozenset((*MEDIA_KEYS, *EMBEDS_KEYS, "uuid", "source", "tool"))


def prompts(setting: str) -> Check:
    """Texts, or a list of token ids, which is one prompt; inputs of embeddings may be messages, too."""

    def check(value: Any, asked: Asked) -> str | None:
        is_one = isinstance(value, list) and all(type(token) is int for token in value)
        complaint = None if is_one else entries(value, getattr(asked.settings, setting))
        return complaint or _media(value, asked)

    return check


def content(setting: str) -> Check:
    """Messages, or what stands in one, without a medium that the server would have to fetch."""

    def check(value: Any, asked: Asked) -> str | None:
        return entries(value, getattr(asked.settings, setting)) or _media(value, asked)

    return check


def _media(node: Any, asked: Asked, *, is_part: bool = False) -> str | None:
    """vLLM judges a part by the members that it has, whatever its `type` says; so does this."""
    if isinstance(node, list):
        return _media_in(node, asked, is_part=is_part)
    if not isinstance(node, dict):
        return None
    if not TELLING_KEYS.isdisjoint(node) or node.get("type") in EMBEDS_KEYS:
        complaint = _medium(node, asked, is_part=is_part) or added_tool(node, asked)
        if complaint:
            return complaint
    below = [node[key] for key in ("content", "output") if key in node]
    return _media(below, asked, is_part=True) if below else None


def _media_in(nodes: list[Any], asked: Asked, *, is_part: bool) -> str | None:
    for number, node in enumerate(nodes, 1):
        if isinstance(node, dict | list) and (complaint := _media(node, asked, is_part=is_part)):
            return complaint
        if number % PARTS_AT_ONCE == 0:
            give_turn()
    return None


def _medium(node: dict[str, Any], asked: Asked, *, is_part: bool) -> str | None:
    if is_part and node.get("uuid") is not None and "media_uuid" not in asked.allowed:
        return MEDIA_UUID  # of the server's cache, which others have filled
    if "media_embeds" not in asked.allowed and _is_tensor(node):
        return MEDIA_EMBEDS
    return None if all(_is_safe(url, asked) for url in _urls(node)) else MEDIA_URL


def _is_tensor(node: dict[str, Any]) -> bool:
    """By a member, or, where only `data` is there, by the type."""
    has_member = any(key in node and node[key] is not None for key in EMBEDS_KEYS)
    return has_member or node.get("type") in EMBEDS_KEYS


def _urls(node: dict[str, Any]) -> list[Any]:
    media = [node[key] for key in MEDIA_KEYS if key in node]
    source = node.get("source")
    media += [source] if isinstance(source, dict) else []
    return [medium.get("url") if isinstance(medium, dict) else medium for medium in media]


def _is_safe(url: Any, asked: Asked) -> bool:
    schemes = ("data:", "http://", "https://") if asked.settings.allow_media_urls else ("data:",)
    return url is None or (isinstance(url, str) and url[:8].lower().startswith(schemes))
