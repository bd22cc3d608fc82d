"""A scripted stand-in for a model that calls a tool, waits for its result, and then answers in words."""

import json
from typing import Any

from tests.fake_answers import Script, data_event
from tests.fake_vllm import FakeVllm

Asked = dict[str, Any]

CALL = "call_1"
EVENTS = "text/event-stream; charset=utf-8"


class FakeCaller(FakeVllm):
    """Calls what of `calls` (arguments by the tool's name) a request offers and has no result of."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, Asked] = {}

    def script_for(self, asked: Asked) -> Script:
        """The call, in the API of the request; words where there is nothing to call."""
        name = next((name for name in map(_name, asked.get("tools") or ()) if name in self.calls), None)
        if name is None or _has_result(asked):
            return super().script_for(asked)
        is_message = "input_schema" in asked["tools"][0]
        model, arguments = asked["model"], json.dumps(self.calls[name])
        if not asked.get("stream"):
            return Script(body=json.dumps(_chat_call(model, name, arguments)))
        steps = message_call(model, name, arguments) if is_message else chat_call(model, name, arguments)
        events = (data_event(step, Script(), step.get("type")) for step in steps)
        end = [] if is_message else [data_event("[DONE]", Script())]
        return Script(body=b"".join((*events, *end)).decode(), content_type=EVENTS)


def _name(tool: Asked) -> str:
    return str(tool.get("function", tool).get("name"))


def _has_result(asked: Asked) -> bool:
    """Whether a message has the role `tool`, or a part `tool_result`."""
    for message in asked["messages"]:
        content = message["content"] if isinstance(message.get("content"), list) else []
        if message["role"] == "tool" or any(part.get("type") == "tool_result" for part in content):
            return True
    return False


def _chat_call(model: str, name: str, arguments: str) -> Asked:
    """A whole chat completion."""
    call = {"id": CALL, "type": "function", "function": {"name": name, "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return {**_base(model, "chat.completion"), "choices": [choice], "usage": USAGE}


def chat_call(model: str, name: str, arguments: str) -> list[Asked]:
    """The events of a streamed one, the arguments in two pieces."""
    half = len(arguments) // 2
    first = {"index": 0, "id": CALL, "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": text}} for text in (arguments[:half], arguments[half:])]
    deltas: list[Asked] = [{"role": "assistant", "content": ""}]
    deltas += [{"tool_calls": [piece]} for piece in (first, *pieces)]
    choices: list[Asked] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    base = _base(model, "chat.completion.chunk")
    return [*({**base, "choices": [choice]} for choice in choices), {**base, "choices": [], "usage": USAGE}]


USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


def _base(model: str, kind: str) -> Asked:
    return {"id": "chatcmpl-1", "object": kind, "created": 1763800000, "model": model}


def message_call(model: str, name: str, arguments: str) -> list[Asked]:
    """The events of a streamed Anthropic message."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": model}
    message |= {"stop_reason": None, "usage": {"input_tokens": 7, "output_tokens": 0}}
    block = {"type": "tool_use", "id": CALL, "name": name, "input": {}}
    piece = {"type": "input_json_delta", "partial_json": arguments}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": piece},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
