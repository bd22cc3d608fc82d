"""`make security` and `make sbom` find what is planted for them, run as `make check` runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.local import ROOT
from tests.supply.locks import read_lock

pytestmark = pytest.mark.timeout(300)  # where `make` has not installed the tools before

FILES = {"CODE": "good.py", "TEXTS": "good.py", "DOCKERFILES": "", "WORKFLOWS": "", "BUILDS": ""}
VENVS_OWN = {"pip", "setuptools"}
DOCKERFILE = "FROM python:3.11-slim\nRUN cd /tmp && pip install {}\n"
WORKFLOW = """\
on: pull_request
permissions: {{}}
jobs:
  test:
    runs-on: ubuntu-24.04
    steps:
      - run: echo {}
"""


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a target, also from within a `make test`."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", f"PYTHON={sys.executable}", *arguments]  # another Python would make the tools anew
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)


def look_at(folder: Path, **planted: str) -> "subprocess.CompletedProcess[str]":
    """`make security` over a folder of files: `good.py`, and those that are named here."""
    (folder / "good.py").write_text('"""Nothing."""\n')
    found = {**FILES, **planted}
    return make("security", *(f"{name}={folder / file if file else ''}" for name, file in found.items()))


def test_what_is_good_passes(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.format("--no-cache-dir flask==3.1.3"))
    (tmp_path / "good.yml").write_text(WORKFLOW.format("$HOME"))

    assert look_at(tmp_path, DOCKERFILES="Dockerfile", WORKFLOWS="good.yml").returncode == 0


def test_an_insecure_call_is_found(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import subprocess\n\nsubprocess.call(input(), shell=True)\n")
    seen = look_at(tmp_path, CODE="bad.py")

    assert seen.returncode != 0
    assert "B602" in seen.stdout


@pytest.mark.parametrize(
    "key",
    [
        "vgw_G8MW0XT4_PGtCKqyTyYQuSFuhxNibPATWIJ1Lhc2R8lkd",  # pragma: allowlist secret
        "AKIAIOSFODNN7EXAMPLE",  # pragma: allowlist secret
    ],
    ids=["ours", "aws"],
)
def test_a_key_in_a_file_is_found(tmp_path: Path, key: str) -> None:
    (tmp_path / "bad.py").write_text(f'KEY = "{key}"\n')
    seen = look_at(tmp_path, TEXTS="bad.py")

    assert seen.returncode != 0
    assert "bad.py:1" in seen.stdout


def test_a_private_key_is_found(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("-----BEGIN RSA " + "PRIVATE KEY-----\n")

    assert "bad.pem:1" in look_at(tmp_path, TEXTS="bad.pem").stdout


def test_no_list_of_files_is_no_pass() -> None:
    assert make("security", "TEXTS=").returncode != 0


def test_where_git_fails_it_says_itself_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nothing"))
    seen = make("security", "CODE=wsgi.py")

    assert seen.returncode != 0
    assert "not a git repository" in seen.stderr
    assert "lists no files" not in seen.stdout


def test_an_error_in_a_dockerfile_is_found(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.11-slim\nCOPY a b c\n")
    seen = look_at(tmp_path, DOCKERFILES="Dockerfile")

    assert seen.returncode != 0
    assert "DL3021" in seen.stdout


def test_a_word_that_cloud_build_does_not_know_is_found(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("steps:\n  - name: bash\n    scripts: echo\n")
    seen = look_at(tmp_path, BUILDS="bad.yaml")

    assert seen.returncode != 0
    assert "scripts" in seen.stdout


def test_a_workflow_that_runs_what_strangers_write_is_found(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text(WORKFLOW.format("'${{ github.event.pull_request.title }}'"))
    seen = look_at(tmp_path, WORKFLOWS="bad.yml")

    assert seen.returncode != 0
    assert "template-injection" in seen.stdout


def packages(sbom: Path) -> dict[str, str]:
    """Names and versions that a CycloneDX file lists, without those that venv brings along."""
    components = json.loads(sbom.read_text())["components"]
    return {
        canonicalize_name(each["name"]): each["version"]
        for each in components
        if each["name"] not in VENVS_OWN
    }


def test_the_list_of_what_the_gateway_consists_of_is_its_lock(tmp_path: Path) -> None:
    made = make("sbom", f"SBOM={tmp_path}/build/sbom.json")

    assert made.returncode == 0, made.stderr
    locked = {name: pin.version for name, pin in read_lock("requirements.txt").items()}
    assert packages(tmp_path / "build" / "sbom.json") == locked


def test_the_list_shows_what_no_lock_holds(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = tmp_path.glob("venv/lib/python*/site-packages")
    (site / "left_over-1.dist-info").mkdir()
    (site / "left_over-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: left-over\nVersion: 1\n"
    )
    made = make("sbom", f"SBOM={tmp_path}/sbom.json", f"LISTED={tmp_path}/venv/bin/python")

    assert made.returncode == 0, made.stderr
    assert packages(tmp_path / "sbom.json") == {"left-over": "1"}


def test_what_takes_minutes_to_install_is_there_before_the_tests_whose_time_is_limited() -> None:
    steps = make("--dry-run", "test-clients").stdout

    assert steps.index("environments clients") < steps.index("environments aider") < steps.index("pytest")
