"""A deployment for the doctor to look at, and what it says of it."""

import json
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from app.doctor.command import doctor
from tests.client import KEY
from tests.fake_answers import Script, data_event, models
from tests.fake_vllm import FakeVllm

OTHER_KEY, ADMIN_KEY = "sk-of-somebody-else-0123456789", "sk-only-for-admins-0123456789"
IDENTITY_TOKEN = "ey0.ey1.signature"
TOOL_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "read_file"}}
ARGUMENTS = {"index": 0, "function": {"arguments": '{"path": "README.md"}'}}


class CapableVllm(FakeVllm):
    """A stand-in that counts as a model would, and calls a tool when it is given one.

    `deltas` is what it says to a request with tools, `forced` to one that makes it call one, `text` what it
    says otherwise, instead of words.
    """

    def __init__(self) -> None:
        super().__init__(events=40, interval=0.01)
        self.deltas: list[dict[str, Any]] = [{"tool_calls": [TOOL_CALL]}, {"tool_calls": [ARGUMENTS]}]
        self.forced = self.deltas
        self.text = ""
        self.tools_refusal: str | None = None

    def script_for(self, asked: dict[str, Any]) -> Script:
        """By what is asked."""
        script = super().script_for(asked)
        if "tools" in asked and self.tools_refusal is not None:
            script.status, script.body = 400, self.tools_refusal
        elif "tools" in asked:
            deltas = self.forced if asked["tool_choice"] == "required" else self.deltas
            script.raw = [streamed(deltas, "tool_calls" if "tool_calls" in deltas[0] else "stop")]
        elif self.text and asked.get("stream"):
            script.raw = [streamed([{"content": word} for word in self.text.split()], "stop")]
        elif self.text:
            message = {"role": "assistant", "content": self.text}
            script.body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        return script


def streamed(deltas: list[dict[str, Any]], finish_reason: str) -> str:
    """A whole answer, head and all, that streams these deltas."""
    script = Script()
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": len(deltas)}}
    events = [data_event(content, script) for content in ({"choices": [c]} for c in choices)]
    body = b"".join([*events, data_event(usage, script), data_event("[DONE]", script)]).decode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    return head + body


def listed(**changes: Any) -> tuple[int, bytes]:
    """vLLM's list of one model, with changes to its card; None takes a member out."""
    card = {**models()["data"][0], **changes}
    kept = {name: value for name, value in card.items() if value is not None}
    return 200, json.dumps({"object": "list", "data": [kept]}).encode()


@dataclass
class Examination:
    """The doctor's report."""

    status: int
    report: dict[str, Any]

    def codes(self, verdict: str) -> list[str]:
        """Of the findings with this verdict."""
        return [found["code"] for found in self.report["findings"] if found["verdict"] == verdict]

    def finding(self, check: str) -> dict[str, str]:
        """What one check has found."""
        return next(found for found in self.report["findings"] if found["check"] == check)

    @property
    def troubles(self) -> list[str]:
        """Faults, then warnings."""
        return self.codes("fault") + self.codes("warning")


def examine(url: str, *options: str, key: str = KEY) -> Examination:
    """Have the doctor look at an address; whatever it says, it never says the key."""
    arguments = ["--url", url, "--json", "--wait", "1", *options]
    result = CliRunner().invoke(doctor, arguments, env={"VLLM_API_KEY": key})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert not key.strip() or key.strip() not in result.output + result.stderr
    return Examination(result.exit_code, json.loads(result.stdout))
