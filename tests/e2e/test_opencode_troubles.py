"""The table at the end of docs/opencode.md: what the real OpenCode shows is what stands there, row by row."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.opencode.config import Gateway as Provider
from app.opencode.config import Model, opencode_config
from tests.client import KEY
from tests.e2e.opencode import OPENCODE
from tests.e2e.opencode_user import Stage, User, seen, static_site
from tests.fake_vllm import FakeVllmThread
from tests.gateway import Gateway
from tests.local import ROOT, free_port

MODEL = "org/model-1"
ADMIN_KEY = "sk-test-of-an-operator"
GOOGLE = "<html><head><title>{0}</title></head><body><h1>Error: {0}</h1></body></html>"
TOO_LONG = "This model's maximum context length is 8192 tokens. However, your prompt contains 9000."
ROW = re.compile(r"^\| `(.+?)`[^|]*\|", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "opencode.md").read_text())
MINUTE = ("Cannot connect to API", "The model server did not answer", "The model is starting")  # of six tries


class Scene:
    """A user in a folder of their own, and a gateway with a scripted upstream."""

    def __init__(self, user: User, stage: Stage) -> None:
        self.user, self.stage = user, stage

    def config(self, url: str = "", **script: Any) -> dict[str, Any]:
        """What `opencode-config` writes; the upstream does what the script says."""
        config = opencode_config([Provider(url or self.stage.url, [Model(MODEL, 32768)])])
        config["provider"]["vllm-gateway"]["models"][MODEL]["options"] = {"fake": script}
        return config

    def start(self, config: dict[str, Any]) -> "subprocess.Popen[str]":
        """Begin to ask the model."""
        self.user.write_config(config)
        return self.user.start(str(OPENCODE), "run", "--title", "t", "Say hello")

    def ask(self, config: dict[str, Any]) -> str:
        """What OpenCode shows."""
        return seen(self.start(config))[1]

    def refuse(self, status: int, message: str, **more: Any) -> str:
        """What it shows when the model server refuses so."""
        body = json.dumps({"error": {"message": message, "type": "BadRequestError", "code": status}})
        return self.ask({**self.config(status=status, body=body), **more})


def google(scene: Scene, status: int, title: str) -> str:
    """Cloud Run's front end answers before the gateway does."""
    with FakeVllmThread() as front:
        body = GOOGLE.format(title)
        fields = f"content-type: text/html; charset=UTF-8\r\ncontent-length: {len(body)}"
        raw = f"HTTP/1.1 {status} {title}\r\n{fields}\r\n\r\n{body}"
        return scene.ask(scene.config(front.url, raw=[raw]))


def with_key(scene: Scene, key: str) -> str:
    scene.user.environ["VLLM_API_KEY"] = key
    return scene.ask(scene.config())


def without_limit(scene: Scene) -> str:
    config = scene.config()
    del config["provider"]["vllm-gateway"]["models"][MODEL]["limit"]["output"]
    return scene.ask(config)


def with_timeout(scene: Scene) -> str:
    config = scene.config(before_head=5)
    config["provider"]["vllm-gateway"]["options"]["timeout"] = 500
    return scene.ask(config)


def other_model(scene: Scene) -> str:
    scene.user.write_config(scene.config())
    return scene.user.opencode("run", "--model", "vllm-gateway/nope", "Say hello")[1]


def calls_as_text(scene: Scene) -> str:
    arguments = {"filePath": "hello.txt", "content": "hi"}
    call = f"<tool_call>{json.dumps({'name': 'write', 'arguments': arguments})}</tool_call>"
    events = [{"choices": [{"index": 0, "delta": {"content": call}, "finish_reason": None}]},
              {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]  # fmt: skip
    lines = [*map(json.dumps, events), "[DONE]"]
    body = "".join(f"data: {line}\n\n" for line in lines)
    shown = scene.ask(scene.config(body=body, content_type="text/event-stream"))
    assert not (scene.user.project / "hello.txt").exists()
    return shown


def site_of(scene: Scene) -> Path:
    folder = scene.user.home / "site"
    scene.user.flask("opencode-wellknown", "--url", scene.stage.url, "--output", str(folder))
    return folder


def without_site(scene: Scene) -> str:
    with static_site(site_of(scene)) as address:
        scene.user.opencode("auth", "login", address)
    return scene.user.opencode("models")[1]


def without_sh(scene: Scene) -> str:
    with static_site(site_of(scene)) as address:
        scene.user.environ["PATH"] = str(scene.user.home)
        return scene.user.opencode("auth", "login", address)[1]


def with_quotes(scene: Scene) -> str:
    with static_site(site_of(scene)) as address:
        return scene.user.login(address, 'sk-"1"')[1].split("Running")[-1].split("not shown")[-1]


SCENES: dict[str, Callable[[Scene], str]] = {
    "API key missing": lambda scene: with_key(scene, "sk-wrong"),
    "Unauthorized: request": lambda scene: google(scene, 401, "Unauthorized"),
    "Forbidden: request": lambda scene: google(scene, 403, "Forbidden"),
    "This API key lacks the scope": lambda scene: with_key(scene, ADMIN_KEY),
    "Unexpected server error": other_model,
    "The model … does not exist": lambda scene: scene.refuse(404, "The model `org/model-1` does not exist."),
    "Provider not found": lambda scene: scene.user.opencode("models", "vllm-gateway")[1],
    "Missing key": without_limit,
    "The operation timed out": with_timeout,
    "maximum context length": lambda scene: scene.refuse(
        400, TOO_LONG,
        compaction={"auto": False},
    ),
    "max_tokens=": lambda scene: scene.refuse(
        400, "max_tokens=32000 cannot be greater than max_model_len=8192. Please request fewer output tokens."
    ),
    '"auto" tool choice': lambda scene: scene.refuse(
        400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    ),
    "<tool_call>": calls_as_text,
    "failed to fetch remote config": without_site,
    "Executable not found": without_sh,
    "That is no API key": with_quotes,
}  # fmt: skip


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    keys = {"my-laptop": KEY, "operator": {"key": ADMIN_KEY, "scopes": ["admin"]}}
    with Stage(tmp_path_factory.mktemp("gateway"), MODEL, 32768, **keys) as running:
        yield running


@pytest.fixture(scope="module")
def slow(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Those that take a minute of tries, begun before the others."""
    scenes = [Scene(User(tmp_path_factory.mktemp("slow"), VLLM_API_KEY=KEY), stage) for _ in MINUTE]
    with FakeVllmThread() as loading, ExitStack() as stack:
        loading.fake.health_status = 503
        impatient = Gateway(tmp_path_factory.mktemp("g"), stage.upstream_url, FIRST_BYTE_TIMEOUT_SECONDS=0.2)
        waiting = Gateway(
            tmp_path_factory.mktemp("g"), loading.url, STARTUP_HOLD_SECONDS=0, MODEL_LOAD_SECONDS=1
        )
        ports = [free_port(), *(stack.enter_context(each).port for each in (impatient, waiting))]
        impatient.wait_ready()
        begun = {}
        for name, scene, port in zip(MINUTE, scenes, ports, strict=True):
            process = scene.start(scene.config(f"http://127.0.0.1:{port}", before_head=5))
            stack.enter_context(process)
            stack.callback(process.kill)
            begun[name] = process
        yield begun


def scene_of(row: str, names: Any) -> str:
    """The one scene whose name the row begins with."""
    (name,) = (name for name in names if row.startswith(name))
    return str(name)


def test_every_row_has_its_scene_and_every_scene_its_row() -> None:
    names = [*SCENES, *MINUTE]

    assert sorted(scene_of(row, names) for row in ROWS) == sorted(names)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.startswith(MINUTE)])
def test_opencode_shows_what_the_row_says(
    row: str, tmp_path: Path, stage: Stage, slow: dict[str, Any]
) -> None:
    shown = SCENES[scene_of(row, SCENES)](Scene(User(tmp_path, VLLM_API_KEY=KEY), stage))

    assert re.search(re.escape(row).replace("…", ".*"), shown), shown
    assert KEY not in shown


@pytest.mark.parametrize("row", [row for row in ROWS if row.startswith(MINUTE)])
def test_opencode_shows_it_after_a_minute_of_tries(row: str, slow: dict[str, Any]) -> None:
    _, shown = seen(slow[scene_of(row, MINUTE)])

    assert re.search(re.escape(row).replace("…", ".*"), shown), shown
