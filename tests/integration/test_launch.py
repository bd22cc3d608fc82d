"""`make serve` checks the machine, makes what is missing, and recovers from an interruption."""

import os
import platform
import shutil
import socket
import subprocess
import sys
import zipfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.settings import Settings
from launch import environments, host, models
from launch.environments import Environment
from launch.progress import StepFailed, run_step
from tests.gateway import wait_until
from tests.local import ROOT

DiskUsage = namedtuple("DiskUsage", "total used free")


def test_an_old_python_is_named() -> None:
    old = "import sys; sys.version_info = (3, 9, 2); import launch"

    ended = subprocess.run([sys.executable, "-c", old], cwd=ROOT, capture_output=True, text=True)

    assert ended.returncode == 1
    assert ended.stderr == "serve: Python 3.11 or newer is needed, not 3.9: make serve PYTHON=python3.12\n"


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [("Darwin", "arm64", "virtual machine"), ("Windows", "AMD64", "Linux"), ("Linux", "armv7l", "aarch64")],
)
def test_an_unsupported_system_is_told_what_works(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, expected: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)

    with pytest.raises(host.Unfit, match=expected):
        host.check_system()


def test_this_machine_will_do() -> None:
    host.check_system()


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(host.Unfit, match="bash"):
        host.check_system()


def test_too_little_disk_is_told_with_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: DiskUsage(0, 0, 2.5e9))

    with pytest.raises(host.Unfit, match=r"about 7 GB .*there are 2\.5"):
        host.check_disk(Path("/"), 7)
    host.check_disk(Path("/"), 2)


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        with pytest.raises(host.Unfit, match=f"port {port} "):
            host.check_port("127.0.0.1", port)
    host.check_port("127.0.0.1", port)


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "8080 "])
def test_what_is_no_port_is_named(port: str) -> None:
    with pytest.raises(host.Unfit, match="PORT="):
        host.check_port("127.0.0.1", port)


@pytest.mark.parametrize(("listing", "found"), [("echo GPU 0: L4", True), ("exit 9", False), ("true", False)])
def test_a_gpu_is_what_the_driver_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listing: str, found: bool
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{listing}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    assert host.has_nvidia_gpu() is found


def test_the_default_model_depends_on_the_machine() -> None:
    assert models.choose_model(None, has_gpu=True) == models.Model(Settings().model_name)
    small = models.choose_model(None, has_gpu=False)
    assert (small.name, small.is_cpu_default) == (models.CPU_DEFAULT, True)
    assert small.settings["MODEL_PATH"] == str(models.CPU_DEFAULT_PATH)


def test_another_model_is_taken_as_it_is_named() -> None:
    assert models.choose_model("org/m", has_gpu=True) == models.Model("org/m")
    on_cpu = models.choose_model("org/m", has_gpu=False)
    assert on_cpu.name == "org/m"
    assert not {"MODEL_PATH", "MAX_MODEL_LEN", "HF_HUB_OFFLINE"} & set(on_cpu.settings)
    assert models.is_prepared(on_cpu)


def test_load_times_are_remembered_by_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    monkeypatch.setattr(models, "LOAD_TIMES", tmp_path / "load-seconds.json")
    assert models.known_load_seconds("a") is None

    models.remember_load_seconds("a", 41.26)
    models.remember_load_seconds("b", 9)

    assert (models.known_load_seconds("a"), models.known_load_seconds("b")) == (41.3, 9)


@pytest.mark.parametrize("content", ["[", "[]", '{"a": "soon"}', '{"a": 1e9}'])
def test_a_broken_list_of_load_times_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setattr(models, "LOAD_TIMES", tmp_path / "load-seconds.json")
    models.LOAD_TIMES.write_text(content)
    assert models.known_load_seconds("a") is None

    models.remember_load_seconds("a", 1)

    assert models.known_load_seconds("a") == 1


def test_a_failed_step_shows_the_end_of_its_output(tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(StepFailed, match="step failed:\n(line\n)*no room\n"):
        run_step("step", ["sh", "-c", "yes line | head -50; echo no room >&2; exit 4"], tmp_path)


def test_a_step_does_not_outlive_a_killed_call(tmp_path: Path) -> None:
    call = "from launch.progress import run_step; run_step('step', ['sleep', '600'], '/')"
    process = subprocess.Popen([sys.executable, "-c", call], cwd=ROOT)
    (step,) = wait_until(psutil.Process(process.pid).children)
    wait_until(lambda: step.name() == "sleep")

    process.kill()
    process.wait()

    wait_until(lambda: not step.is_running() or step.status() == psutil.STATUS_ZOMBIE)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """One that installs a package of this test's own, without the network."""
    wheel = tmp_path / "thing-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as package:
        package.writestr("thing.py", "")
        package.writestr("thing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1\n")
        package.writestr("thing-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        package.writestr("thing-1.dist-info/RECORD", "")
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    return Environment("venv", "installing", (("--no-index", str(wheel)),))


def can_import(environment: Environment) -> bool:
    return subprocess.run([environment.python, "-c", "import thing"], capture_output=True).returncode == 0


def test_an_environment_is_made_once(environment: Environment) -> None:
    assert not environments.is_installed(environment)
    environments.install(environment)
    assert environments.is_installed(environment)
    made = environment.python.lstat().st_ctime_ns

    environments.install(environment)

    assert can_import(environment)
    assert environment.python.lstat().st_ctime_ns == made


def test_an_interrupted_installation_is_made_anew(environment: Environment) -> None:
    environments.install(environment)
    folder = environment.python.parents[1]
    (thing,) = folder.glob("lib/python*/site-packages/thing.py")
    thing.unlink()  # half of a package, which pip takes for a whole one
    (folder / environments.STAMP).unlink()

    assert not environments.is_installed(environment)
    environments.install(environment)

    assert can_import(environment)


def test_a_failed_installation_is_not_taken_for_one(environment: Environment) -> None:
    broken = Environment("venv", "installing", (("--no-index", "no-such-package"),))

    with pytest.raises(StepFailed, match="no-such-package"):
        environments.install(broken)

    assert not environments.is_installed(broken)
    environments.install(environment)
    assert can_import(environment)


def test_an_addition_that_did_not_end_leaves_nothing_to_rely_on(environment: Environment) -> None:
    environments.install(environment)
    broken = Environment("venv", "installing", (*environment.steps, ("--no-index", "no-such-package")))

    with pytest.raises(StepFailed):
        environments.install(broken)

    assert not environments.is_installed(environment)


def test_changed_requirements_are_installed_again(environment: Environment, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    listed = Environment("venv", "installing", (("--no-index", "-r", "requirements.txt"),))
    environments.install(listed)
    assert environments.is_installed(listed)

    requirements.write_text("# another\n")
    assert not environments.is_installed(listed)
    environments.install(listed)
    requirements.write_text("")

    assert not environments.is_installed(listed)


def test_another_build_in_the_same_folder_is_made_anew(environment: Environment) -> None:
    environments.install(environment)
    other = Environment("venv", "installing", (("--no-index", "pip"),))

    environments.install(other)

    assert environments.is_installed(other)
    assert not environments.is_installed(environment)
    assert not can_import(environment)


def test_what_is_missing_is_added(environment: Environment) -> None:
    first = Environment("venv", "installing", (("--no-index", "pip"),))
    both = Environment("venv", "installing", (*first.steps, *environment.steps))
    environments.install(first)
    made = both.python.lstat().st_ctime_ns

    environments.install(both)

    assert can_import(both)
    assert both.python.lstat().st_ctime_ns == made
    assert environments.is_installed(first)
