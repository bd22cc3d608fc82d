"""Claude Code in front of a real vLLM; what it does with a scripted one is in tests/clients."""

import os
import subprocess
from pathlib import Path

from tests.clients_page import CLAUDE
from tests.e2e.served import MODEL, Served


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
        command, cwd=home, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


def test_claude_code_hears_the_model(served: Served, tmp_path: Path) -> None:
    """The weak model hardly comes to an end of its own: Claude Code then says which limit it has reached."""
    before = len(served.log_lines(logger="gateway.request", route="/v1/messages"))  # those of other tests
    ended = ask(served, tmp_path)

    is_cut = "exceeded the 64 output token maximum" in ended.stdout
    assert is_cut or (ended.returncode == 0 and ended.stdout.strip()), ended.stdout + ended.stderr
    lines = served.log_lines(logger="gateway.request", route="/v1/messages")[before:]
    assert {(line["status"], line["outcome"]) for line in lines if line["model"] == MODEL} == {
        (200, "complete")
    }
    assert all(line["completion_tokens"] > 0 for line in lines if line["model"] == MODEL)
