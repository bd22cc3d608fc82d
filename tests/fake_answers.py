"""What the scripted stand-in for vLLM answers: its script, its events and its plain bodies."""

import itertools
import json
from dataclasses import dataclass, field
from typing import Any, Literal

MODEL = "fake/model-1"
WORDS = [
    "The",
    "capital",
    "of",
    "France",
    "is",
    "Paris.",
    "This",
    "answer",
    "comes",
    "from",
    "a",
    "scripted",
    "stand-in",
    "for",
    "vLLM.",
]


@dataclass
class Script:
    """What to do with one request; times in seconds, sizes in bytes."""

    framing: Literal["chunked", "length", "close"] = "chunked"
    events: int = 5
    prompt_tokens: int = 7
    cached_tokens: int = 3  # of them; told by the chat and text completions alone
    interval: float = 0.0
    before_head: float = 0.0
    before_first_event: float = 0.0
    event_bytes: int = 0  # pad each event to about this size
    write_bytes: int = 0  # write so many bytes at a time; 0 writes an event at a time
    newline: str = "\n"
    finish_reason: str | None = "stop"
    done: bool = True
    status: int = 200
    body: str | None = None  # instead of a completion
    raw: list[str] | None = (
        None  # instead of a whole answer, head and all: bytes in latin-1, `interval` apart
    )
    encoding: str = "utf-8"
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    fail_after: int | None = None  # after so many events (or half of a plain body) ...
    failure: Literal["reset", "close", "hang", "half_event", "error_event"] = "reset"  # ... this


def models() -> dict[str, Any]:
    """vLLM's list: `root` holds the folder of the weights."""
    card = {
        "id": MODEL,
        "object": "model",
        "created": 1763800000,
        "owned_by": "vllm",
        "root": "/secret/host/path/weights",
        "parent": None,
        "max_model_len": 32768,
        "permission": [],
    }
    return {"object": "list", "data": [card, {**card, "id": "plain-alias"}]}


def usage_of(asked: dict[str, Any], script: Script) -> dict[str, Any]:
    """Made-up but stable counts."""
    details = {"cached_tokens": script.cached_tokens}
    total = script.prompt_tokens + script.events
    return {
        "prompt_tokens": script.prompt_tokens,
        "total_tokens": total,
        "completion_tokens": script.events,
        "prompt_tokens_details": details,
    }


def told_tokens(target: str, script: Script) -> tuple[int, int, int]:
    """What a whole answer tells of its prompt's tokens, how many of them were cached, and its own."""
    cached = script.cached_tokens if target in ("/v1/chat/completions", "/v1/completions") else 0
    return script.prompt_tokens, cached, 0 if target == "/v1/embeddings" else script.events


def completion(asked: dict[str, Any], script: Script) -> dict[str, Any]:
    """A chat completion that was not streamed."""
    text = " ".join(WORDS[i % len(WORDS)] for i in range(script.events)) + "x" * script.event_bytes
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": script.finish_reason,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1763800000,
        "model": asked.get("model"),
        "choices": [choice],
        "usage": usage_of(asked, script),
        "prompt_logprobs": None,
    }


def data_event(content: Any, script: Script, name: str | None = None) -> bytes:
    """One event with compact JSON, as pydantic writes it."""
    text = content if isinstance(content, str) else json.dumps(content, separators=(",", ":"))
    lines = [f"event: {name}"] if name else []
    return script.newline.join([*lines, f"data: {text}", "", ""]).encode()


def word_of(number: int, script: Script) -> str:
    """The text of one event."""
    return WORDS[number % len(WORDS)] + " " + "x" * script.event_bytes


def chat_events(asked: dict[str, Any], script: Script) -> list[bytes]:
    """What vLLM streams for a chat completion; usage only when it was asked for."""
    base = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1763800000,
        "model": asked.get("model"),
    }
    events = []
    for index in range(asked.get("n") or 1):
        for number in range(script.events):
            delta = {"content": word_of(number, script)}
            choice = {"index": index, "delta": delta, "finish_reason": None}
            events.append(data_event({**base, "choices": [choice]}, script))
        last = {"index": index, "delta": {"content": ""}, "finish_reason": script.finish_reason}
        events.append(data_event({**base, "choices": [last]}, script))
    if (asked.get("stream_options") or {}).get("include_usage"):
        usage = usage_of(asked, script)
        events.append(data_event({**base, "choices": [], "usage": usage}, script))
    return events + ([data_event("[DONE]", script)] if script.done else [])


def completions_events(asked: dict[str, Any], script: Script) -> list[bytes]:
    """What vLLM streams for a text completion; the last event of text carries the reason."""
    base = {"id": "cmpl-1", "object": "text_completion", "created": 1763800000, "model": asked.get("model")}
    events = []
    prompts = asked.get("prompt")
    several = len(prompts) if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int) else 1
    for index, number in itertools.product(range((asked.get("n") or 1) * several), range(script.events)):
        reason = script.finish_reason if number == script.events - 1 else None
        choice = {"index": index, "text": word_of(number, script), "logprobs": None, "finish_reason": reason}
        events.append(data_event({**base, "choices": [choice]}, script))
    if (asked.get("stream_options") or {}).get("include_usage"):
        usage = usage_of(asked, script)
        events.append(data_event({**base, "choices": [], "usage": usage}, script))
    return events + ([data_event("[DONE]", script)] if script.done else [])


def messages_events(asked: dict[str, Any], script: Script) -> list[bytes]:
    """An Anthropic message stream."""
    usage = {"input_tokens": script.prompt_tokens, "output_tokens": 0}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": asked.get("model"),
        "stop_reason": None,
        "usage": usage,
    }
    steps: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    for number in range(script.events):
        delta = {"type": "text_delta", "text": word_of(number, script)}
        steps.append({"type": "content_block_delta", "index": 0, "delta": delta})
    steps.append({"type": "content_block_stop", "index": 0})
    steps.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": script.events},
        }
    )
    if script.done:
        steps.append({"type": "message_stop"})
    return [data_event(step, script, step["type"]) for step in steps]


def responses_events(asked: dict[str, Any], script: Script) -> list[bytes]:
    """An OpenAI Responses stream."""
    steps: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": "resp_1"}}]
    for number in range(script.events):
        steps.append({"type": "response.output_text.delta", "delta": word_of(number, script)})
    if script.done:
        usage = {"input_tokens": script.prompt_tokens, "output_tokens": script.events}
        steps.append({"type": "response.completed", "response": {"id": "resp_1", "usage": usage}})
    return [data_event(step, script, step["type"]) for step in steps]


API_EVENTS = {
    "/v1/chat/completions": chat_events,
    "/v1/completions": completions_events,
    "/v1/messages": messages_events,
    "/v1/responses": responses_events,
}
