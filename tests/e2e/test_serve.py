"""`make serve` tells what a person needs, and curl gets answers."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.vllm_command import DEFAULT_TOOL_CALL_PARSER, FAMILIES
from launch.environments import VLLM_CPU
from tests.e2e.served import MODEL, QUESTION, Served, curl
from tests.local import ROOT


def events(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_it_prints_url_key_curl_line_pages_and_the_way_to_opencode(served: Served) -> None:
    shown = served.output()

    assert f"Ready: {served.url}, model {MODEL}" in shown
    assert f"export API_KEY={served.key} " in shown
    assert f"curl -N {served.url}/v1/chat/completions" in shown
    assert f"{served.url}/admin/ " in shown
    assert f"{served.url}/metrics " in shown
    assert "opencode-config" in shown
    assert shown.count(served.key) == 1


def test_it_tells_the_phases_of_the_start_with_their_seconds(served: Served) -> None:
    shown = served.output()
    seconds = served.request("GET", "/health/startup").json()["phases"]

    assert list(seconds) == ["process", "import", "weights", "warm-up", "ready"]
    for phase in ("import", "weights"):
        assert re.search(rf"^serve: model load: {phase}, \d+ s", shown, re.MULTILINE)
        assert seconds[phase] > 1


def test_the_key_file_is_its_owners_alone(served: Served) -> None:
    assert served.keys_file.stat().st_mode & 0o777 == 0o600


def test_curl_streams_a_sentence_with_paris_in_it(served: Served) -> None:
    answer = events(curl(served, "/v1/chat/completions", {"messages": QUESTION, "stream": True}))

    text = "".join(event["choices"][0]["delta"].get("content") or "" for event in answer)
    assert "Paris" in text
    assert len(answer) > 4
    assert answer[-1]["choices"][0]["finish_reason"] == "stop"


def run_line(command: str, served: Served) -> str:
    environ = {**os.environ, "API_KEY": served.key}
    return subprocess.run(
        ["bash", "-c", command], env=environ, capture_output=True, text=True, timeout=60
    ).stdout


def test_the_printed_curl_line_works_as_it_is(served: Served) -> None:
    (command,) = re.findall(r"^  (curl -N .*?}'\n)", served.output(), re.MULTILINE | re.DOTALL)

    assert "data: [DONE]" in run_line(command, served)


def test_the_curl_line_of_the_readme_works(served: Served) -> None:
    (command,) = re.findall(r"^(curl -N .*?}'\n)", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)

    assert "data: [DONE]" in run_line(command.replace("http://127.0.0.1:8080", served.url), served)


def test_curl_gets_a_whole_chat_answer(served: Served) -> None:
    answer = json.loads(curl(served, "/v1/chat/completions", {"messages": QUESTION}))

    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert answer["model"] == MODEL
    assert answer["usage"]["completion_tokens"] > 4


@pytest.mark.parametrize("stream", [True, False])
def test_curl_completes_a_text(served: Served, stream: bool) -> None:
    wish = {"prompt": "The capital of France is", "max_tokens": 8, "stream": stream}
    answer = curl(served, "/v1/completions", wish)

    parts = events(answer) if stream else [json.loads(answer)]
    assert "Paris" in "".join(part["choices"][0]["text"] for part in parts)


def test_the_models_folder_is_not_shown(served: Served) -> None:
    reply = served.request("GET", "/v1/models", headers={"X-API-Key": served.key})

    assert reply.json()["data"][0]["id"] == MODEL
    assert b".models" not in reply.body


def test_openai_tools_do_not_make_vllm_refuse(served: Served) -> None:
    tool = {
        "type": "function",
        "function": {"name": "ls", "parameters": {"type": "object", "properties": {}}},
    }
    wish = {"messages": QUESTION, "tools": [tool], "tool_choice": "auto", "max_tokens": 8}

    assert json.loads(curl(served, "/v1/chat/completions", wish))["choices"]


def test_vllm_knows_every_parser_that_is_chosen() -> None:
    (package,) = VLLM_CPU.python.parents[1].glob("lib/python3*/site-packages/vllm")
    known = {
        kind: set(re.findall(r'^    "([\w-]+)": \(', Path(package, kind, "__init__.py").read_text(), re.M))
        for kind in ("tool_parsers", "reasoning")
    }

    assert {tool for _, tool, _ in FAMILIES} | {DEFAULT_TOOL_CALL_PARSER} <= known["tool_parsers"]
    assert {reasoning for *_, reasoning in FAMILIES if reasoning} <= known["reasoning"]
