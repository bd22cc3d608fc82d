"""What the scripted stand-in for vLLM answers when nothing is streamed, by route."""

from collections.abc import Callable
from typing import Any

from tests.fake_answers import Script, completion, usage_of, word_of

Asked = dict[str, Any]


def _words(script: Script) -> str:
    return "".join(word_of(number, script) for number in range(script.events))


def text_completion(asked: Asked, script: Script) -> Asked:
    """A text completion."""
    choice = {"index": 0, "text": _words(script), "logprobs": None, "finish_reason": script.finish_reason}
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1763800000,
        "model": asked.get("model"),
        "choices": [choice],
        "usage": usage_of(asked, script),
    }


def response(asked: Asked, script: Script) -> Asked:
    """An OpenAI response."""
    content = [{"type": "output_text", "text": _words(script), "annotations": []}]
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": asked.get("model"),
        "output": [{"type": "message", "role": "assistant", "content": content}],
        "usage": {
            "input_tokens": script.prompt_tokens,
            "output_tokens": script.events,
            "total_tokens": script.prompt_tokens + script.events,
        },
    }


def message(asked: Asked, script: Script) -> Asked:
    """An Anthropic message."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": _words(script)}],
        "model": asked.get("model"),
        "stop_reason": "end_turn",
        "usage": {"input_tokens": script.prompt_tokens, "output_tokens": script.events},
    }


def token_count(_asked: Asked, _script: Script) -> Asked:
    """How many tokens an Anthropic message would have."""
    return {"input_tokens": 7}


def embeddings(asked: Asked, script: Script) -> Asked:
    """One vector."""
    vector = {"object": "embedding", "index": 0, "embedding": [0.5, -1e-07, 0.25] * script.events}
    usage = {"prompt_tokens": script.prompt_tokens, "total_tokens": script.prompt_tokens}
    return {"object": "list", "data": [vector], "model": asked.get("model"), "usage": usage}


def tokens(_asked: Asked, script: Script) -> Asked:
    """The tokens of a prompt."""
    numbers = list(range(script.events))
    return {"count": len(numbers), "max_model_len": 32768, "tokens": numbers, "token_strs": None}


def prompt(_asked: Asked, script: Script) -> Asked:
    """The prompt of some tokens."""
    return {"prompt": _words(script)}


PLAIN: dict[str, Callable[[Asked, Script], Asked]] = {
    "/v1/completions": text_completion,
    "/v1/responses": response,
    "/v1/messages": message,
    "/v1/messages/count_tokens": token_count,
    "/v1/embeddings": embeddings,
    "/tokenize": tokens,
    "/detokenize": prompt,
}


def plain_answer(target: str, asked: Asked, script: Script) -> Asked:
    """The body for a route."""
    return PLAIN.get(target, completion)(asked, script)
