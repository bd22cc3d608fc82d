"""Play a failure with the real OpenCode: a gateway and an upstream of its own, and what goes on meanwhile."""

import json
import re
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.coder import Coder, posts
from tests.e2e.failures import Failure
from tests.e2e.opencode import run_opencode, write_project
from tests.fake_answers import MODEL
from tests.fake_vllm import FakeVllmThread
from tests.gateway import KEY, Gateway, wait_until

PROMPT = "What is the capital of France?"
SECONDS = re.compile(r"\d+ s\b")
START_SECONDS = 60.0
LINE_SECONDS = 2.0
RUN_SECONDS = 280.0  # five retries take 62 to 78 of them


@dataclass
class Seen:
    """What came of it: OpenCode's exit code, its last sentence, why its last step ended, its requests."""

    status: int
    shown: str
    reason: str
    requests: int


class Scene:
    """A gateway and an upstream for one failure, in a folder of their own."""

    def __init__(self, failure: Failure, folder: Path) -> None:
        self.failure = failure
        self.folder = folder
        self.coder = Coder()
        self.requests_before = 0  # that another gateway has logged
        self._stack = ExitStack()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> "Scene":
        with self._stack as opening:
            self._pool = opening.enter_context(self._pool)
            upstream = opening.enter_context(FakeVllmThread(fake=self.coder))
            entry = {"key": KEY, "scopes": self.failure.scopes}
            (self.folder / "keys.json").write_text(json.dumps({"tester": entry}))
            self.gateway = Gateway(self.folder, upstream.url, **self.failure.settings)
            prepare, self.arrange, self.change = SITUATIONS[self.failure.situation]
            prepare(self)
            opening.enter_context(self.gateway)
            self._stack = opening.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def keep(self, opened: Any) -> Any:
        """Have something end with the scene."""
        return self._stack.enter_context(opened)

    def logged(self) -> list[dict[str, Any]]:
        """The gateway's lines about what OpenCode has asked for."""
        lines = self.gateway.log_lines(message="request", method="POST")
        return [line for line in lines if line["route"] != "/v1/completions"]

    def play(self) -> Seen:
        """Run OpenCode once."""
        self.arrange(self)
        happening: Future[None] = self._pool.submit(self.change, self)
        project = self.folder / "project"
        project.mkdir()
        failure, address = self.failure, f"http://127.0.0.1:{self.gateway.port}"
        write_project(project, address + failure.route, MODEL, fake=failure.fake, **failure.asks)
        status, events = run_opencode(project, PROMPT, failure.key, seconds=RUN_SECONDS)
        happening.result()
        with suppress(AssertionError):  # fewer may be right too; a line follows the last byte of its answer
            wait_until(lambda: self.requests() >= failure.requests, LINE_SECONDS)
        return self.seen(status, events)

    def requests(self) -> int:
        """How many OpenCode has sent, as far as they are logged."""
        return self.requests_before + len(self.logged())

    def seen(self, status: int, events: list[dict[str, Any]]) -> Seen:
        """What the events of a run say."""
        errors = [event["error"]["data"]["message"] for event in events if event["type"] == "error"]
        reasons = [event["part"]["reason"] for event in events if event["type"] == "step_finish"]
        shown = SECONDS.sub("N s", errors[-1]) if errors else ""
        return Seen(status, shown, (reasons or [""])[-1], self.requests())


# What is so before the gateway starts, what before OpenCode does, and what happens while that runs.


def nothing(_scene: Scene) -> None:
    """Nothing of the kind."""


def unready(scene: Scene) -> None:
    """The model is not ready yet."""
    scene.coder.health_status = 503


def become_ready(scene: Scene) -> None:
    """It becomes ready when somebody was told to come back."""
    wait_until(scene.logged, START_SECONDS)
    scene.coder.health_status = 200


def wait_ready(scene: Scene) -> None:
    """The gateway is ready."""
    scene.gateway.wait_ready()


def fill(scene: Scene) -> None:
    """Somebody else's answer takes the only place."""
    wait_ready(scene)
    scene.keep(scene.gateway.open_chat(fake={"interval": 600}))


def drain(scene: Scene) -> None:
    """The gateway was told to stop, while somebody else's answer still runs."""
    fill(scene)
    scene.gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: scene.gateway.request("GET", "/health/ready").json()["phase"] == "draining")


def restart(scene: Scene) -> None:
    """The gateway is told to stop in the middle of OpenCode's answer; then another one takes its address."""
    old = scene.gateway
    wait_until(lambda: posts(scene.coder), START_SECONDS)
    old.process.send_signal(signal.SIGTERM)
    old.process.wait(20)
    scene.requests_before = len(scene.logged())
    later = scene.folder / "later"
    later.mkdir()
    scene.gateway = Gateway(later, old.environ["VLLM_BASE_URL"])
    scene.gateway.port = old.port
    scene.gateway.launch()
    scene.keep(Ending(scene.gateway))


class Ending:
    """A gateway that runs already, to be ended."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def __enter__(self) -> None:
        wait_until(self._gateway.is_alive, START_SECONDS)

    def __exit__(self, *exc: object) -> None:
        self._gateway.__exit__(*exc)


Step = Callable[[Scene], None]
SITUATIONS: dict[str, tuple[Step, Step, Step]] = {
    "usual": (nothing, wait_ready, nothing),
    "loading": (unready, nothing, become_ready),
    "never ready": (unready, nothing, nothing),
    "keyless": (nothing, nothing, nothing),
    "full": (nothing, fill, nothing),
    "draining": (nothing, drain, nothing),
    "restarted": (nothing, wait_ready, restart),
}
