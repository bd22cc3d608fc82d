"""Claude Code in front of a real vLLM; what it does with a scripted one is in tests/clients."""

import os
import subprocess
from pathlib import Path

from tests.clients_page import CLAUDE
from tests.e2e.served import MODEL, Served

# Its own prompt and tools are longer than the window of the model here.
SHORT = ("--tools", "", "--system-prompt", "Answer in one sentence.")


def ask(served: Served, home: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """One headless question."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ANTHROPIC_BASE_URL": served.url,
        "ANTHROPIC_AUTH_TOKEN": served.key,
        "ANTHROPIC_MODEL": MODEL,
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "8192",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "64",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    command = [CLAUDE, "-p", "What is the capital of France?", *options]
    return subprocess.run(
        command, cwd=home, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


def test_claude_code_prints_an_answer(served: Served, tmp_path: Path) -> None:
    ended = ask(served, tmp_path, *SHORT)

    assert (ended.returncode, ended.stdout.strip() != "") == (0, True), ended.stdout + ended.stderr
    assert {line["outcome"] for line in served.log_lines(route="/v1/messages", model=MODEL)} == {"complete"}


def test_claude_code_says_that_its_prompt_is_longer_than_the_window(served: Served, tmp_path: Path) -> None:
    ended = ask(served, tmp_path)

    assert ended.returncode == 1
    assert "Prompt is too long" in ended.stdout, ended.stdout + ended.stderr
