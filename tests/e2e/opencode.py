"""Run the real OpenCode, headless, in a folder with an opencode.json and a home of its own."""

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from app.opencode.config import Gateway, Model, Wishes, opencode_config
from tests.local import ROOT

MACHINE = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
OPENCODE = ROOT / f"tests/e2e/node_modules/opencode-linux-{MACHINE}/bin/opencode"
SECONDS = 180
WINDOW = 32_768  # tokens, as OpenCode is told


def clean_environ(home: Path, **more: str) -> dict[str, str]:
    """An environment with a home of its own, in which OpenCode asks nobody but the gateway."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "NO_COLOR": "1",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "npm_config_registry": "http://127.0.0.1:9",
        **more,
    }


def write_project(folder: Path, base_url: str, model: str, **options: Any) -> None:
    """The opencode.json that our command writes, with `options` for the model, which go into each body."""
    gateway = Gateway(base_url.removesuffix("/v1"), [Model(model, WINDOW)])
    config = opencode_config([gateway], Wishes(options=options))
    config["provider"][gateway.provider]["options"]["baseURL"] = base_url
    (folder / "opencode.json").write_text(json.dumps(config))


def run_opencode(
    folder: Path, prompt: str, key: str, *options: str, seconds: float = SECONDS
) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the events of one run; `--continue` among the options goes on with the last one."""
    with start_opencode(folder, prompt, key, *options) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return process.returncode, [json.loads(line) for line in output.splitlines()]


def start_opencode(folder: Path, prompt: str, key: str, *options: str) -> "subprocess.Popen[str]":
    """One run, which tells its events on its output."""
    home = folder / "home"
    xdg = {f"XDG_{name}_HOME": str(home / name) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
    return subprocess.Popen(
        [OPENCODE, "run", "--format", "json", "--title", "t", *options, prompt],
        cwd=folder,
        env=clean_environ(home, VLLM_API_KEY=key, **xdg),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
