"""What the real gcloud sends to Google of these files, where one is installed; a stand-in tells."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.render import TEMPLATE, render
from tests.cloud_files import BUILD_FILE, read_build, render_environ, service
from tests.gcloud_lines import alone
from tests.local import ROOT

HAS_GCLOUD = shutil.which("gcloud") is not None
needs_gcloud = pytest.mark.skipif(
    not HAS_GCLOUD, reason="gcloud is not installed; what it sends was not seen"
)
SECRET_OR_ANOTHERS = [
    "keys.json",
    "usage.db",
    "usage.db-wal",
    ".env",
    "hf.token",
    "server.pem",
    "opencode.json",
    ".git/config",
]
BIG = [
    ".models/x/w.safetensors",
    ".venv/bin/python",
    ".venv-vllm/x.so",
    "build/sbom.json",
    "app/__pycache__/a.pyc",
    "tests/e2e/node_modules/a.js",
]
STARTED = b'{"metadata": {"build": {"id": "0b1d", "projectId": "my-project", "status": "QUEUED"}}}'
WANTED = ["Dockerfile", "entrypoint.sh", "requirements.txt", "app/launch_plan.py", "deploy/render.py",
          "tests/unit/test_keys.py", "examples/opencode.json", "docs/keys.schema.json"]  # fmt: skip


class Google(BaseHTTPRequestHandler):
    """Knows of nothing, and takes whatever it is sent."""

    def log_message(self, *arguments: object) -> None:
        pass

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self._answer(404, b'{"error": {"code": 404, "message": "nothing here", "status": "NOT_FOUND"}}')

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, json.loads(content)))  # type: ignore[attr-defined]
        self._answer(200, content if "/services" in self.path else STARTED)


@pytest.fixture
def got(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[tuple[str, Any]]]:
    """What was posted, and a gcloud that posts to the stand-in, as nobody."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Google)
    server.got = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    for name, value in {
        **alone(tmp_path, server.server_port),  # the stand-in is the proxy for every name
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN": "http://run.example/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD": "http://cloudbuild.example/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": "my-project",
    }.items():
        monkeypatch.setenv(name, value)
    yield server.got  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def gcloud(*arguments: str | Path, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Call it."""
    command = ["gcloud", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def replace(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Have service.yaml checked by Google, as the deploying step has it put in place."""
    arguments = ("--region=us-central1", "--dry-run")
    return gcloud("run", "services", "replace", folder / "service.yaml", *arguments)


@needs_gcloud
def test_the_service_arrives_whole(got: list[tuple[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text(render(TEMPLATE.read_text(), render_environ()))
    ran = replace(tmp_path)
    ((path, sent),) = got

    assert ran.returncode == 0, ran.stderr
    assert path.startswith(
        "http://us-central1-run.example/apis/serving.knative.dev/v1/namespaces/my-project/"
    )
    assert sent["metadata"].pop("namespace") == "my-project"
    assert sent == service()


@needs_gcloud
def test_gcloud_does_not_send_what_it_does_not_know(got: list[tuple[str, Any]], tmp_path: Path) -> None:
    text = render(TEMPLATE.read_text(), render_environ()).replace("readinessProbe", "readynessProbe")
    (tmp_path / "service.yaml").write_text(text)
    ran = replace(tmp_path)

    assert ran.returncode == 1
    assert "readynessProbe" in ran.stderr
    assert got == []


@needs_gcloud
def test_the_build_arrives_whole(got: list[tuple[str, Any]]) -> None:
    arguments = ("--no-source", "--async", "--region=us-central1", "--substitutions=_SERVICE=other")
    ran = gcloud("builds", "submit", f"--config={BUILD_FILE}", *arguments)
    ((path, sent),) = got
    build = read_build()

    assert ran.returncode == 0, ran.stderr
    assert path.startswith("http://cloudbuild.example/v1/projects/my-project/locations/us-central1/builds")
    assert sent["substitutions"] == {**build["substitutions"], "_SERVICE": "other"}
    assert {name: sent[name] for name in build.keys() - {"substitutions"}} == {
        name: build[name] for name in build.keys() - {"substitutions"}
    }


def uploaded_by_git(folder: Path) -> set[str]:
    """The files that are left by the same rules, which are those of .gitignore."""
    environ = {**os.environ, "GIT_DIR": str(folder.parent / "git")}
    subprocess.run(["git", "init", "--quiet"], cwd=folder, env=environ, check=True)
    command = ["git", "--work-tree=.", "ls-files", "--others", "--exclude-from=.gcloudignore"]
    listed = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return set(listed.stdout.splitlines())


def uploaded_by_gcloud(folder: Path) -> set[str]:
    """The files that gcloud would upload."""
    listed = gcloud("meta", "list-files-for-upload", folder=folder)
    assert listed.returncode == 0, listed.stderr
    return set(listed.stdout.splitlines())


@pytest.mark.parametrize("way", [uploaded_by_git, pytest.param(uploaded_by_gcloud, marks=needs_gcloud)])
def test_keys_and_what_a_build_makes_anew_are_not_uploaded(way: Any, got: Any, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    for name in [*SECRET_OR_ANOTHERS, *BIG, *WANTED]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("made up\n")
    shutil.copy(ROOT / ".gcloudignore", folder)

    assert way(folder) - {".gcloudignore"} == set(WANTED)


def test_whatever_is_in_the_repository_is_uploaded() -> None:
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-from=.gcloudignore"]
    left = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert left.stdout == ""
