"""Claude Code in front of a real vLLM; what it does with a scripted one is in tests/clients."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients_page import CLAUDE
from tests.e2e.served import MODEL, Served
from tests.gateway import wait_until

SECONDS = 300  # of a try: Claude Code asks a dozen times where each answer is cut, 80 s on an idle machine

pytestmark = pytest.mark.timeout(1000)


def ask(served: Served, home: Path) -> "subprocess.CompletedProcess[str]":
    """One headless question, with all the words and tools of its own: they fit into this window."""
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
    command = [CLAUDE, "-p", "What is the capital of France?"]
    return subprocess.run(
        command,
        cwd=home,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def has_answer(ended: "subprocess.CompletedProcess[str]") -> bool:
    """The weak model hardly comes to an end of its own: Claude Code then says which limit it has reached."""
    is_cut = "exceeded the 64 output token maximum" in ended.stdout
    return is_cut or (ended.returncode == 0 and bool(ended.stdout.strip()))


def lines_of_model(served: Served) -> list[dict[str, Any]]:
    return served.log_lines(logger="gateway.request", route="/v1/messages", model=MODEL)


def test_claude_code_hears_the_model(served: Served, tmp_path: Path) -> None:
    before = len(lines_of_model(served))  # those of other tests
    tries = [ask(served, tmp_path)]
    while not has_answer(tries[-1]) and len(tries) < 3:  # it may have said what looks like a tool's call
        tries.append(ask(served, tmp_path))

    assert has_answer(tries[-1]), tries[-1].stdout + tries[-1].stderr
    wait_until(lambda: len(lines_of_model(served)) >= before + len(tries))
    lines = lines_of_model(served)[before:]
    assert {(line["status"], line["outcome"]) for line in lines} == {(200, "complete")}
    assert all(line["completion_tokens"] > 0 for line in lines)
