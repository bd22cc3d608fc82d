"""A scripted model that OpenCode can work with: it calls tools, has a window, fails as often as it is told.

The script travels in the `options` of the model in opencode.json, which OpenCode puts into each body.
"""

import json
from typing import Any

from tests.fake_answers import Script, data_event
from tests.fake_vllm import FakeVllm, Received

Asked = dict[str, Any]

# vLLM 0.32: vllm/renderers/params.py
OVERFLOW = (
    "This model's maximum context length is {window} tokens. However, your prompt contains {tokens} input "
    "tokens, which exceeds this limit even without any output tokens. "
    "Please reduce the length of the input prompt."
)


class Coder(FakeVllm):
    """Beside the fields of a script, `fake` may hold those of a coder.

    `window`: so many characters of JSON fit, more is refused as by vLLM. `times`: so many requests with tools
    are answered by the script, later ones well; one that the gateway sends again, because the connection had
    carried another before, is the same request. `calls`: the tool calls to make, one for each request;
    `call_pieces`: in how many events each call's arguments come.
    """

    def script_for(self, asked: Asked) -> Script:
        """What this request wants done."""
        wanted = dict(asked.get("fake", {}))
        window, times = wanted.pop("window", None), wanted.pop("times", None)
        calls, pieces = wanted.pop("calls", []), wanted.pop("call_pieces", 1)
        if "messages" not in asked:  # the gateway's own question whether tokens can be had
            return Script()
        has_tools = bool(asked.get("tools"))
        size = len(json.dumps(asked))
        if window is not None and size > window:
            return refusal(OVERFLOW.format(window=window, tokens=size))
        if times is not None and (not has_tools or self.asked_with_tools(asked["model"]) > times):
            return Script()
        made = sum(message["role"] == "tool" for message in asked["messages"])
        if has_tools and made < len(calls):
            return Script(**wanted, raw=tool_call(asked, calls[made], made, pieces))
        return Script(**wanted)

    def asked_with_tools(self, model: str) -> int:
        """How many requests with tools this model has got."""
        asked = ((each.request_id, each.json()) for each in posts(self))
        return len({one for one, body in asked if body["model"] == model and body.get("tools")})


def refusal(message: str, status: int = 400) -> Script:
    """vLLM's own refusal."""
    error = {"message": message, "type": "BadRequestError", "param": "input_tokens", "code": status}
    return Script(status=status, body=json.dumps({"error": error}))


def tool_call(asked: Asked, call: dict[str, Any], number: int, pieces: int) -> list[str]:
    """The whole answer, head and all, that streams one tool call: its name first, its arguments in pieces."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
    text = json.dumps(call["arguments"])
    step = -(-len(text) // pieces)
    first = {"id": f"call_{number}", "type": "function", "index": 0}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"tool_calls": [{**first, "function": {"name": call["name"], "arguments": ""}}]},
        *(
            {"tool_calls": [{"index": 0, "function": {"arguments": text[start : start + step]}}]}
            for start in range(0, len(text), step)
        ),
    ]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": d, "finish_reason": None} for d in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    usage = {"prompt_tokens": 100 + number, "completion_tokens": 10, "total_tokens": 110 + number}
    contents = [
        *({**base, "choices": [c]} for c in choices),
        {**base, "choices": [], "usage": usage},
        "[DONE]",
    ]
    events = [data_event(content, Script()).decode() for content in contents]
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return [head, *(f"{len(event.encode()):x}\r\n{event}\r\n" for event in events), "0\r\n\r\n"]


def posts(coder: FakeVllm) -> list[Received]:
    """What OpenCode has asked for."""
    return [each for each in coder.received if each.target == "/v1/chat/completions"]
