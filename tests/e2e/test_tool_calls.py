"""Tool calls of a real vLLM through the gateway.

SmolLM2-135M is too weak to decide for a tool, so what it may say is guided: by vLLM itself where the client
names a tool or requires one, and for OpenCode, which always sends `tool_choice: "auto"`, by a list of answers
in the `options` of the model. What is tested is that a call is parsed, streamed, run and answered; not that a
model chooses its tools well.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.opencode import start_opencode
from tests.e2e.served import MODEL, Served
from tests.e2e.test_opencode import Project
from tests.gateway import wait_until

CITIES = ["Paris", "Rome", "Oslo"]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "strict": True,  # without it vLLM guides the call, and leaves its arguments to the model
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": CITIES}, "days": {"enum": [1, 2, 3]}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
QUESTION: list[Any] = [{"role": "user", "content": "What will the weather be in Paris tomorrow?"}]
NAMED: Any = {"type": "function", "function": {"name": "get_weather"}}


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0) as made:
        yield made


def check_arguments(text: str) -> None:
    """They are JSON of the tool's schema."""
    arguments = json.loads(text)
    assert arguments.keys() == {"city", "days"}
    assert arguments["city"] in CITIES
    assert arguments["days"] in (1, 2, 3)


@pytest.mark.parametrize("choice", [NAMED, "required"], ids=["named", "required"])
def test_a_streamed_call_comes_in_pieces_that_make_valid_arguments(
    client: openai.OpenAI, choice: Any
) -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=QUESTION, tools=[WEATHER], tool_choice=choice, temperature=0, stream=True
        )
    )

    deltas = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices and c.choices[0].delta.tool_calls]
    assert deltas[0].id
    assert [d.function.name for d in deltas if d.function and d.function.name] == ["get_weather"]
    check_arguments("".join(d.function.arguments or "" for d in deltas if d.function))
    assert len(deltas) > 2
    assert chunks[-1].choices[0].finish_reason in ("stop", "tool_calls")


def test_the_result_of_a_tool_is_answered(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": MODEL, "tools": [WEATHER], "temperature": 0, "max_tokens": 64}
    first = client.chat.completions.create(messages=QUESTION, tool_choice=NAMED, **asked)
    (call,) = first.choices[0].message.tool_calls or []
    assert call.type == "function"
    check_arguments(call.function.arguments)
    turn = {"role": "assistant", "content": "", "tool_calls": [call.model_dump()]}
    result = {"role": "tool", "tool_call_id": call.id, "content": "Sunny, 25 degrees."}

    second = client.chat.completions.create(messages=[*QUESTION, turn, result], tool_choice="none", **asked)

    assert second.choices[0].message.content
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.prompt_tokens > first.usage.prompt_tokens


def write_call(content: str) -> str:
    """A call in the words that vLLM's parser `hermes` reads."""
    call = {"name": "write", "arguments": {"filePath": "notes.txt", "content": content}}
    return f"<tool_call>\n{json.dumps(call)}\n</tool_call>"


NOTE = "Buy milk."


def test_opencode_runs_a_call_that_a_real_model_makes(tmp_path: Path, served: Served) -> None:
    """The model can say nothing but this call, so OpenCode would make it without end: it is stopped."""
    project = Project(tmp_path, served)
    config = json.loads(project.file.read_text())
    (provider,) = config["provider"].values()
    (model,) = provider["models"].values()
    model["options"] |= {"structured_outputs": {"choice": [write_call(NOTE)]}}
    project.file.write_text(json.dumps(config))

    with start_opencode(project.folder, "Write a note to notes.txt", served.key) as process:
        try:
            tool = first_tool(process)
            assert (tool["tool"], tool["state"]["status"]) == ("write", "completed")
            # The model says the same again, so the file may be written anew just now.
            wait_until(lambda: (project.folder / "notes.txt").read_text() == NOTE)
        finally:
            process.kill()


def first_tool(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The first call that OpenCode tells the end of."""
    assert process.stdout is not None
    events = map(json.loads, process.stdout)
    return next(event["part"] for event in events if event["type"] == "tool_use")
