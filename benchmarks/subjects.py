"""What is compared: the gateway, other proxies in its place, and the two ends of the scale.

Each runs on one core with one worker, in the fastest configuration that does what an operator needs of it:
kept-alive connections, streaming, a key check where it has one, no debugging. They are started the same way
and get no variable but their own.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import psutil

from launch import ROOT, environments
from tests.client import KEY
from tests.gateway import Gateway
from tests.local import free_port
from tests.measure import subjects as measured
from tests.measure.program import SYSTEM_PROGRAMS, Program
from tests.supply.locks import read_lock

PEERS = ROOT / "benchmarks" / "peers"


class Subject(Protocol):
    """What runs: a server on this machine."""

    port: int
    boot_seconds: float  # from exec to the first 200 of its health route; NaN where nothing was started

    def family(self) -> list[psutil.Process]:
        """All its processes; none where nothing was started."""


class Ours(Program):
    """The gateway with one worker, its keys in a file, and all its features as they are by default."""

    ready = "/health/ready"
    start_seconds = 15.0

    def __init__(self, folder: Path, upstream_url: str, cpu: int | None = None) -> None:
        super().__init__(folder, upstream_url, cpu)
        self.cwd = ROOT
        self._keys_file = folder / "keys.json"

    def command(self) -> Sequence[str]:
        """As the README says."""
        self._keys_file.write_text(json.dumps({"tester": KEY}))
        return Gateway.command

    def environ(self) -> dict[str, str]:
        """Its settings."""
        return {
            "PORT": str(self.port),
            "VLLM_BASE_URL": self.upstream_url,
            "API_KEYS_FILE": str(self._keys_file),
            "USAGE_DATABASE": str(self._keys_file.with_name("usage.db")),
            "WEB_CONCURRENCY": "1",
        }


class OwnProgram(Program):
    """A few lines in benchmarks/peers, which get their key and the upstream's address as variables."""

    module: str
    start_seconds = 15.0

    def environ(self) -> dict[str, str]:
        """What each of them reads."""
        return {"API_KEY": KEY, "UPSTREAM_URL": self.upstream_url}


class FastapiHttpx(OwnProgram):
    """Under uvicorn with uvloop and httptools, as `uvicorn[standard]` brings them, without an access log."""

    def command(self) -> Sequence[str]:
        """One worker."""
        options = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--app-dir", str(PEERS))
        return (str(environments.BENCH.python), "-m", "uvicorn", *options, *where, "fastapi_proxy:app")


class UnderGevent(OwnProgram):
    """Under the gunicorn and the gevent that the gateway has, with gunicorn's own gevent worker."""

    def command(self) -> Sequence[str]:
        """One worker; idle connections are kept, since two seconds is the default."""
        options = ("--no-control-socket", "-k", "gevent", "-w", "1", "--keep-alive", "75")
        where = ("-b", f"127.0.0.1:{self.port}", "--pythonpath", str(PEERS))
        return (sys.executable, "-m", "gunicorn", *options, *where, f"{self.module}:app")


class FlaskRequests(UnderGevent):
    """The plain version of the gateway."""

    module = "flask_proxy"


class BareFlask(UnderGevent):
    """No proxy: what Flask and the worker cost by themselves."""

    module = "bare_view"


class VllmRouter(Program):
    """vLLM's own router, in Rust, with a thread for each core that it may use, so with one here.

    It checks no key: all that it knows is to ask another server about each. One worker leaves nothing to
    route, so it gets the policy that costs least. It listens once the upstream is well.
    """

    health = "/health"
    start_seconds = 15.0

    def command(self) -> Sequence[str]:
        """Its launcher, which takes `warning` but logs at `info` with it; metrics cannot be turned off."""
        program = environments.BENCH.python.with_name("vllm-router")
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--worker-urls", self.upstream_url)
        quiet = ("--log-level", "error", "--prometheus-port", str(free_port()))
        return (str(program), *where, "--policy", "round_robin", *quiet)


class Litellm(Program):
    """LiteLLM's proxy, which looks nothing up in the internet when it starts."""

    health = "/health/liveliness"
    start_seconds = 120.0

    def command(self) -> Sequence[str]:
        """One worker, under the uvicorn that it starts by itself."""
        program = environments.BENCH_LITELLM.python.with_name("litellm")
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--num_workers", "1")
        return (str(program), "--config", str(PEERS / "litellm.yaml"), *where, "--telemetry", "False")

    def environ(self) -> dict[str, str]:
        """What its configuration names, and where it has the prices of models from."""
        return {
            "API_KEY": KEY,
            "UPSTREAM_API_BASE": f"{self.upstream_url}/v1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",  # this and the next: what its guide to production says
            "LITELLM_MODE": "PRODUCTION",
        }


PROGRAMS: dict[str, type[Program]] = {
    **measured.PROGRAMS,
    "vllm-router": VllmRouter,
    "fastapi-httpx": FastapiHttpx,
    "litellm": Litellm,
    "flask-requests": FlaskRequests,
    "ours": Ours,
    "bare-flask": BareFlask,
}
NAMES = ("direct", *PROGRAMS)
# The status that a wrong key gets; the others take any. Without a database LiteLLM has no better one.
REFUSAL = {"litellm": 400} | dict.fromkeys(
    ("nginx", "haproxy", "fastapi-httpx", "flask-requests", "ours"), 401
)
NEEDS = {
    "vllm-router": environments.BENCH,
    "fastapi-httpx": environments.BENCH,
    "litellm": environments.BENCH_LITELLM,
}
PACKAGES = {
    "vllm-router": ("requirements-bench.txt", ("vllm-router",)),
    "fastapi-httpx": ("requirements-bench.txt", ("fastapi", "httpx", "uvicorn")),
    "litellm": ("requirements-bench-litellm.txt", ("litellm",)),
    "flask-requests": ("requirements.txt", ("flask", "requests", "gunicorn", "gevent")),
    "bare-flask": ("requirements.txt", ("flask", "gunicorn", "gevent")),
}


def start(name: str, folder: Path, upstream_url: str, cpu: int) -> AbstractContextManager[Subject]:
    """The subject of that name, to be entered, which returns when it answers.

    It runs on that core in front of `upstream_url`, an `http://` address of this machine, with its files and
    its log in a folder below `folder`. Entering raises StartFailed, with the end of the log.
    """
    if name == "direct":
        return measured.Direct(urlsplit(upstream_url).port or 80)
    own = folder / name
    own.mkdir(exist_ok=True)
    return PROGRAMS[name](own, upstream_url, cpu)


def is_installed(name: str) -> bool:
    """Whether the subject can be started on this machine."""
    return environments.is_installed(NEEDS[name]) if name in NEEDS else measured.is_installed(name)


@cache
def versions() -> dict[str, str]:
    """What each subject but `direct` is, as far as it is installed."""
    told = {name: _system_version(name) for name in measured.PROGRAMS if is_installed(name)}
    for name, (lock, packages) in PACKAGES.items():
        pins = read_lock(lock)
        if is_installed(name):
            told[name] = ", ".join(f"{package} {pins[package].version}" for package in packages)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {**told, "ours": f"{project['name']} {project['version']}"}


def _system_version(program: str) -> str:
    environ = {"PATH": f"{os.environ['PATH']}:{SYSTEM_PROGRAMS}"}
    told = subprocess.run(
        [program, "-v"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    found = re.search(r"\d+\.\d+\.\d+", told.stdout)
    return f"{program} {found[0]}" if found else program
