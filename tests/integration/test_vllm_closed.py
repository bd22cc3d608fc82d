"""entrypoint.sh starts vLLM closed: what would open it is refused or left out, an old one is not started."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.launch_plan import check_version
from tests.entrypoint import Entrypoint
from tests.fake_server import write_python
from tests.gateway import wait_until
from tests.vllm_variables import CLOSING, OPENING


def test_vllm_does_not_get_what_would_open_it_and_that_is_told(start_both: Any) -> None:
    entrypoint = start_both(**dict.fromkeys(OPENING, "1"), VLLM_MAX_N_SEQUENCES="4")

    environ = entrypoint.vllm.environ()
    (told,) = wait_until(lambda: [text for text in entrypoint.messages() if "would open it" in text])

    assert not OPENING & set(environ)
    assert set(told.split(": ")[1].split()) == OPENING
    assert environ["VLLM_MAX_N_SEQUENCES"] == "4"


def test_the_limits_of_the_gateway_are_vllms_too(start_both: Any) -> None:
    entrypoint = start_both(MAX_CHOICES="3", MAX_PROMPTS="5", MAX_STOP_STRINGS="7")

    environ = entrypoint.vllm.environ()
    assert environ["VLLM_MAX_N_SEQUENCES"] == "3"
    assert environ["VLLM_MAX_COMPLETION_PROMPTS"] == "5"
    assert environ["VLLM_MAX_STOP_STRINGS"] == "7"


def test_what_keeps_vllm_closed_cannot_be_set_otherwise(start_both: Any) -> None:
    entrypoint = start_both(**dict.fromkeys(CLOSING, "x"))
    entrypoint.wait_ready()

    environ = entrypoint.vllm.environ()
    private = Path(environ["VLLM_RPC_BASE_PATH"])

    assert {name: environ[name] for name in CLOSING} == CLOSING
    assert private.parent == entrypoint.scratch
    assert private.stat().st_mode & 0o777 == 0o700
    assert not [text for text in entrypoint.messages() if "would open it" in text]


@pytest.mark.parametrize(
    ("given", "got"), [("debug", "INFO"), ("NOTSET", "INFO"), ("1", "INFO"), ("Warning", "Warning")]
)
def test_vllm_never_logs_so_much_that_prompts_are_in_it(start_both: Any, given: str, got: str) -> None:
    entrypoint = start_both(VLLM_LOGGING_LEVEL=given)

    assert entrypoint.vllm.environ()["VLLM_LOGGING_LEVEL"] == got


@pytest.mark.parametrize("version", ["0.31.2", "0.9.0rc1+cu128", "0.31.1.dev3"])
def test_a_vllm_with_known_holes_is_refused(tmp_path: Path, version: str) -> None:
    with Entrypoint(tmp_path, VLLM_PYTHON=write_python(tmp_path, version)).prepared() as entrypoint:
        ended = subprocess.run(
            entrypoint.command, env=entrypoint.environ, capture_output=True, text=True, timeout=10
        )

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"gateway: vLLM {version} has holes")
    assert ended.stderr.count("\n") == 1


def test_a_vllm_with_known_holes_starts_where_the_settings_say_so(start_both: Any, tmp_path: Path) -> None:
    entrypoint = start_both(VLLM_PYTHON=write_python(tmp_path, "0.31.2"), ALLOW_OLD_VLLM="true")

    entrypoint.wait_ready()


@pytest.mark.parametrize(
    "version", ["", "0.32.0", "0.32.1+cpu", "0.100.0", "1.0", "0.1.dev1+g0123456", "0.33.0.dev2", "new"]
)
def test_another_version_passes_and_one_that_is_not_known(version: str) -> None:
    check_version(version, allow_old=False)
