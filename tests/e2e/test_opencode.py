"""The real OpenCode, headless, with the file that `flask opencode-config` writes."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.opencode import run_opencode
from tests.e2e.served import Served

ANSWER = "Paris."


class Project:
    """A folder with the opencode.json that the printed command writes, and a home of its own."""

    def __init__(self, folder: Path, served: Served) -> None:
        self.folder = folder
        self.file = folder / "opencode.json"
        (command,) = (line for line in served.output().splitlines() if " opencode-config " in line)
        environ = {**os.environ, "VLLM_API_KEY": served.key}
        words = [*shlex.split(command), "--temperature", "0"]
        subprocess.run(words, cwd=folder, env=environ, check=True, timeout=30)

    def change(self, options: dict[str, Any]) -> None:
        """Other connection options, and one answer: this model may ramble, or seem to call a tool."""
        config = json.loads(self.file.read_text())
        (provider,) = config["provider"].values()
        (model,) = provider["models"].values()
        provider["options"] = {"baseURL": provider["options"]["baseURL"], **options}
        model["options"] |= {"structured_outputs": {"choice": [ANSWER]}}
        self.file.write_text(json.dumps(config))

    def run(self, prompt: str, key: str) -> tuple[int, list[dict[str, Any]]]:
        """The exit code and the events of one headless run."""
        return run_opencode(self.folder, prompt, key)


@pytest.fixture
def project(tmp_path: Path, served: Served) -> Project:
    return Project(tmp_path, served)


KEY = "{env:VLLM_API_KEY}"
CREDENTIALS = {
    "X-API-Key only": {"headers": {"X-API-Key": KEY}},
    "Bearer only": {"apiKey": KEY},
    "both": {"apiKey": KEY, "headers": {"X-API-Key": KEY}},
}


@pytest.mark.parametrize("credentials", CREDENTIALS)
def test_opencode_prints_an_answer(project: Project, served: Served, credentials: str) -> None:
    project.change(CREDENTIALS[credentials])

    status, events = project.run("What is the capital of France?", served.key)

    kinds = [event["type"] for event in events]
    assert (status, kinds[0], kinds[-1]) == (0, "step_start", "step_finish"), events
    assert "".join(e["part"]["text"] for e in events if e["type"] == "text") == ANSWER
    assert events[-1]["part"]["reason"] == "stop"
    assert events[-1]["part"]["tokens"]["output"] > 0


def test_opencode_shows_one_sentence_for_a_wrong_key(project: Project) -> None:
    status, events = project.run("Hi", "sk-wrong")

    assert status == 1
    assert [e["error"]["data"]["message"] for e in events] == [
        "API key missing or not valid for this gateway."
    ]
