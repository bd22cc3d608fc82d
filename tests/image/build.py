"""The image, built by buildah out of the Dockerfile, with the model from a stand-in for the hub."""

import json
import secrets
from pathlib import Path
from typing import Any

from launch.models import CPU_DEFAULT, CPU_DEFAULT_PATH, STAMP
from tests.fake_hub import COMMIT, FakeHub, files_of
from tests.image.base import volumes
from tests.image.tools import FOLDER, ask_buildah, buildah, run
from tests.local import ROOT

IMAGE = "localhost/vllm-gateway:tested"
TOKEN_FILE = FOLDER / "hf-token"
HUB_PORT = 18_765  # the same each time: it is an argument of the build, and part of what its cache goes by
NOT_FOR_VLLM = {
    "pytorch_model.bin": b"a pickle beside the safetensors",
    "original/consolidated.00.pth": b"the same weights once more",
    "onnx/model.onnx": b"and again",
    "README.md": b"# A model",
}


def hub_files() -> dict[str, bytes | Path]:
    """The default model of a machine without a GPU, among what such repositories also have."""
    model = {name: file for name, file in files_of(CPU_DEFAULT_PATH.resolve()).items() if name != STAMP}
    return {**model, **NOT_FOR_VLLM, "LICENSE": b"Apache License 2.0"}


def build(base: str, *, target: str = "") -> None:
    """Make the image, or only the stage `target`, which leaves no image that has a name."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    token()
    arguments = {
        "BASE_IMAGE": base,
        "MODEL_NAME": CPU_DEFAULT,
        "MODEL_REVISION": COMMIT,
        "HF_ENDPOINT": f"http://127.0.0.1:{HUB_PORT}",
        "REVISION": "f" * 40,
    }
    words = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    kind = (
        "--isolation",
        "chroot",
        "--format",
        "docker",
        "--layers",
        "--force-rm",
        "--secret",
        f"id=hf_token,src={TOKEN_FILE}",
    )
    wish = ("--target", target) if target else ("--tag", IMAGE)
    hub = FakeHub(CPU_DEFAULT, hub_files(), HUB_PORT)
    hub.token = token()
    with hub.serving():
        command = buildah("bud", *kind, *words, *volumes(), *wish, ROOT)
        run(f"building {target or 'the image'}", command, f"build-{target or 'image'}.log")


def token() -> str:
    """The build's secret. It stays the same, since a layer may be kept of an earlier build."""
    if not TOKEN_FILE.exists():
        TOKEN_FILE.write_text(f"hf_{secrets.token_hex(16)}")
    return TOKEN_FILE.read_text()


def description(name: str = IMAGE) -> dict[str, Any]:
    """What buildah knows of an image."""
    return dict(json.loads(ask_buildah("inspect", "--type", "image", name)))
