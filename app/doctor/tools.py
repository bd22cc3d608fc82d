"""Check of tools: are they taken, and do calls come as calls?"""

import json
import re
from typing import Any

from app.doctor.asking import Reply
from app.doctor.chat import ChatStream, read_stream
from app.doctor.deployment import Deployment
from app.doctor.finding import Finding, fine, trouble
from app.doctor.reading import dig_text, error_of, read_json

TOKENS = {"auto": 160, "required": 96}  # what must be a call needs fewer words
NAME = "read_file"
TOOL = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "Read a file of the project.",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string", "maxLength": 40}},
            "required": ["path"],
            "additionalProperties": False,
        },
    },
}
MESSAGES = [
    {"role": "system", "content": "You work on files, with the tools alone."},
    {"role": "user", "content": "Read the file README.md with the tool read_file."},
]
# How families of models write a call, where their parser should have taken it out of the text.
MARKS = re.compile(
    r"<tool_calls?>|\[TOOL_CALLS\]|<\|python_tag\|>|<function=|<\|tool_call|<｜tool▁call|<\|tool_calls_section_begin"
    r"|<minimax:tool_call>|<\|action_start\|>|functools\[|<\|channel\|>commentary"
)
XML_CALL = re.compile(rf"<function={NAME}>.*</function>", re.DOTALL)
NOT_SET_UP = "--enable-auto-tool-choice"


def check_tools(deployment: Deployment) -> Finding:
    """Whether the model's calls come as calls: by itself, or else when it must.

    A model that calls nothing by itself is no fault of the deployment, which then shows by a call that the
    server makes it do.
    """
    reply, stream = _ask(deployment, "auto")
    if reply.status != 200:
        return _explain_refusal(deployment, reply)
    if stream.error is not None:
        return trouble("stream_error", message=deployment.quote(stream.error))
    if stream.calls:
        return _judge_calls(stream)
    if is_call(stream.text):
        return trouble("tools_as_text")
    _, forced = _ask(deployment, "required")
    if not forced.calls:
        return trouble("tools_as_text" if is_call(forced.text) else "tools_unproven")
    found = _judge_calls(forced)
    return found if found.code else trouble("tools_not_called")


def _ask(deployment: Deployment, choice: str) -> tuple[Reply, ChatStream]:
    wish: dict[str, Any] = {
        "messages": MESSAGES,
        "tools": [TOOL],
        "tool_choice": choice,
        "max_tokens": TOKENS[choice],
    }
    stream_options = {"include_usage": True}
    reply = deployment.post(deployment.chat(stream=True, stream_options=stream_options, **wish))
    stream = read_stream(reply)
    deployment.count(stream.usage)
    deployment.texts.append(stream.text)
    return reply, stream


def _explain_refusal(deployment: Deployment, reply: Reply) -> Finding:
    _, message = error_of(reply)
    if reply.status != 400:
        return deployment.explain(reply)
    if NOT_SET_UP in message:
        return trouble("tools_off")
    return trouble("tools_refused", message=deployment.quote(message))


def _judge_calls(stream: ChatStream) -> Finding:
    calls = stream.calls.values()
    if not all(call.call_id and call.name for call in calls):
        return trouble("tool_call_broken")
    return fine("called, and the call came as one")


def is_call(text: str) -> bool:
    """Whether a text is a call in some family's form: its marks and the tool's name, or nothing but its JSON.

    The name amid other words is talk, and half a call the model's own mistake: weak models do both.
    """
    mark = MARKS.search(text)
    if mark and NAME in text:
        return bool(XML_CALL.search(text) or _first_object(text[mark.end() :]))
    content = read_json(text.strip().encode(errors="replace"))
    return dig_text(content, "name") == NAME and ("arguments" in content or "parameters" in content)


def _first_object(text: str) -> bool:
    """Whether the first JSON object in a text is a whole one."""
    try:
        json.JSONDecoder().raw_decode(text, text.index("{"))
    except (ValueError, RecursionError):
        return False
    return True
