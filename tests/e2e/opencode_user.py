"""Somebody who has just installed OpenCode: an empty home folder, an empty project, a terminal."""

import functools
import http.server
import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.client import KEY
from tests.e2e.opencode import OPENCODE, SECONDS, clean_environ
from tests.fake_vllm import FakeVllmThread
from tests.gateway import Gateway
from tests.local import ROOT

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
FLASK = (sys.executable, "-m", "flask", "--app", str(ROOT / "wsgi"))


class User:
    """Types commands; `environ` is what was exported in the terminal."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.home, self.project = folder / "home", folder / "project"
        for each in (self.home, self.project):
            each.mkdir()
        self.environ = clean_environ(self.home, **environ)

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Begin a command in the project's folder; both outputs are one."""
        return subprocess.Popen(
            command,
            cwd=self.project,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> tuple[int, str]:
        """The exit code, and what a person sees."""
        return seen(self.start(*command))

    def opencode(self, *arguments: str) -> tuple[int, str]:
        """The same for `opencode …`."""
        return self.run(str(OPENCODE), *arguments)

    def flask(self, *arguments: str) -> str:
        """What a command of the gateway says; it must succeed."""
        status, output = self.run(*FLASK, *arguments)
        assert status == 0, output
        return output

    def login(self, address: str, key: str) -> tuple[int, str]:
        """`opencode auth login` at a terminal, with the key typed where it is asked for."""
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.project)
            os.execve(OPENCODE, [str(OPENCODE), "auth", "login", address], self.environ)
        shown, typed = "", False
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and select.select([terminal], [], [], until - time.monotonic())[0]:
            with suppress(OSError):  # how Linux tells that the other side has closed
                if piece := os.read(terminal, 65536):
                    shown += ESCAPES.sub("", piece.decode(errors="replace"))
                    if not typed and re.search(r"not shown\): \Z", shown):
                        os.write(terminal, f"{key}\n".encode())
                        typed = True
                    continue
            break
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown

    def write_config(self, config: dict[str, Any]) -> None:
        """The project's opencode.json."""
        (self.project / "opencode.json").write_text(json.dumps(config))


def seen(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """The exit code of a command that was begun, and what it printed."""
    output, _ = process.communicate(timeout=SECONDS)
    return process.returncode, ESCAPES.sub("", output)


class Stage:
    """A gateway in front of a scripted upstream with one model, which says its name when it is asked."""

    def __init__(self, folder: Path, model: str, window: int, **keys: Any) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "keys.json").write_text(json.dumps(keys or {"my-laptop": KEY}))
        self.model, self._upstream = model, FakeVllmThread()
        self.fake = self._upstream.fake
        card = {"id": model, "object": "model", "max_model_len": window}
        self.fake.models = (200, json.dumps({"object": "list", "data": [card]}).encode())
        self._folder = folder

    def __enter__(self) -> "Stage":
        self._upstream.__enter__()
        self.gateway = Gateway(self._folder, self._upstream.url).__enter__()
        self.gateway.wait_ready()
        self.url, self.upstream_url = f"http://127.0.0.1:{self.gateway.port}", self._upstream.url
        return self

    def __exit__(self, *_exc: object) -> None:
        self.gateway.__exit__()
        self._upstream.__exit__()

    def asked(self) -> list[dict[str, Any]]:
        """The bodies of the completions so far that carried tools."""
        bodies = [each.json() for each in self.fake.received if each.method == "POST"]
        return [body for body in bodies if "tools" in body]


@contextmanager
def static_site(folder: Path) -> Iterator[str]:
    """A host for static files; its address."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    extensions_map = {"": "application/json"}

    def log_message(self, *_arguments: Any) -> None:
        """Nothing: pytest shows what tests print."""
