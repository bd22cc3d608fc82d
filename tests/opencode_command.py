"""`flask --app wsgi opencode-config`, in this process, in front of gateways that answer as they are told."""

import json
from pathlib import Path
from typing import Any

import responses
from click import Command
from click.testing import CliRunner, Result

from app.opencode.commands import write_opencode_config

MODEL = "org/model-1"
URL = "https://gateway.example"
CARD = {"id": MODEL, "max_model_len": 32768}
OTHER = {"id": "other", "max_model_len": 131072}
SMALL = {"id": "small", "max_model_len": 8192}
TINY = {"id": "tiny", "max_model_len": 2048}


def models(*cards: Any) -> dict[str, Any]:
    """An answer with these models."""
    return {"json": {"object": "list", "data": list(cards)}}


class Written:
    """Runs the command, and reads what it wrote to `place`."""

    def __init__(self, place: Path, command: Command = write_opencode_config) -> None:
        self.place = place
        self._command = command
        self._web = responses.RequestsMock(assert_all_requests_are_fired=False)

    def __enter__(self) -> "Written":
        self._web.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._web.stop()
        self._web.reset()

    def answer(self, url: str = URL, **answer: Any) -> None:
        """What the gateway says when it is asked for its models; the next time, what comes next."""
        self._web.get(f"{url}/v1/models", **answer)

    def __call__(self, *arguments: str, **environ: str) -> Result:
        options = [] if "--url" in arguments else ["--url", URL]
        place = [] if "--output" in arguments else ["--output", str(self.place)]
        environ = {"VLLM_API_KEY": "sk-1", **environ}
        return CliRunner().invoke(self._command, [*options, *place, *arguments], env=environ)

    @property
    def config(self) -> dict[str, Any]:
        """What stands in the file."""
        return dict(json.loads(self.place.read_text()))

    def models(self, provider: str = "vllm-gateway") -> list[str]:
        """The models of one provider in it."""
        return list(self.config["provider"][provider]["models"])
