"""Start the real gateway under gunicorn, and ask it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.client import KEY, RawClient, Reply
from tests.local import ROOT, free_port

START_SECONDS = 15.0
READY_SECONDS = 30.0  # a try to warm up that failed has a pause of seconds behind it
KEYS_OF_TESTS = re.compile(rb"(?:sk|vgw)[-_][0-9A-Za-z_-]{8,}")  # none may leave a gateway, nor be logged


def wait_until(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Poll until the condition holds, and return its value; fail after `seconds`."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "the condition did not come true in time"
        time.sleep(0.01)
    return value


class Gateway:
    """gunicorn with the project's own configuration, on a free loopback port."""

    keys_shown = 0  # in its output
    command = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app")

    def __init__(self, folder: Path, upstream_url: str, **settings: Any) -> None:
        self.cwd = ROOT
        self.keys_file = folder / "keys.json"
        if not self.keys_file.exists():
            self.keys_file.write_text(json.dumps({"tester": KEY}))
        self.log_file = folder / "gateway.log"
        self.environ = {
            "PATH": os.environ["PATH"],
            "VLLM_BASE_URL": upstream_url,
            "API_KEYS_FILE": str(self.keys_file),
            "USAGE_DATABASE": str(folder / "usage.db"),
            "PYTHONWARNINGS": "error::ResourceWarning",
            **{name: str(value) for name, value in settings.items()},
        }

    def __enter__(self) -> "Gateway":
        for _ in range(3):
            self.port = free_port()
            if self._start():
                return self
            self.__exit__()
        raise AssertionError(self.log_file.read_text())

    def launch(self) -> None:
        """Start it at `port`, without waiting for anything."""
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env={**self.environ, "PORT": str(self.port)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _start(self) -> bool:
        self.launch()
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            if self.is_alive():
                return True
            time.sleep(0.02)
        return False

    def is_alive(self) -> bool:
        """Whether it answers probes."""
        try:
            return self.request("GET", "/health/live").status == 200
        except OSError:
            return False

    def __exit__(self, *_exc: object) -> None:
        """End it at once: how it ends by itself is what the lifecycle tests look at. No key is in its log."""
        if self.process.poll() is None:
            family = [*psutil.Process(self.process.pid).children(recursive=True), self.process]
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            self.process.wait()
        written = self.log_file.read_bytes() if self.log_file.exists() else b""
        assert len(KEYS_OF_TESTS.findall(written)) <= self.keys_shown

    def worker_pids(self) -> set[int]:
        """The processes below the master."""
        return {worker.pid for worker in psutil.Process(self.process.pid).children()}

    def kill_workers(self) -> None:
        """SIGKILL every worker; the master starts others."""
        for pid in self.worker_pids():
            os.kill(pid, signal.SIGKILL)

    def wait_ready(self) -> None:
        """Until the upstream has answered its first probe."""
        wait_until(lambda: self.request("GET", "/health/ready").status == 200, READY_SECONDS)

    def request(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own; a body that is not bytes goes as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            declared = {"Content-Type": "application/json"} if content is not None else {}
            connection.request(method, target, content, {**declared, **(headers or {})})
            response = connection.getresponse()
            reply = Reply(response.status, response.getheaders(), response.read())
            assert not KEYS_OF_TESTS.search(str(response.headers).encode() + reply.body)
            return reply
        finally:
            connection.close()

    def post(self, target: str, body: Any, key: str = KEY) -> Reply:
        """A request with a key."""
        return self.request("POST", target, body, {"X-API-Key": key})

    def chat(self, *, stream: bool = True, **fields: Any) -> Reply:
        """A chat completion with a key; `fake` among the fields scripts the upstream."""
        return self.post("/v1/chat/completions", chat_body(stream=stream, **fields))

    def connect(self) -> RawClient:
        """A bare socket to the gateway."""
        return RawClient(self.port)

    def open_chat(self, *, keep: bool = True, **fields: Any) -> RawClient:
        """A streamed chat whose answer's head has been read; `keep` the connection behind it or not."""
        client = self.connect()
        body = chat_body(stream=True, **fields)
        wish = "keep-alive" if keep else "close"
        client.send_request("POST", "/v1/chat/completions", body, Connection=wish)
        client.read_head()
        return client

    def log_lines(self, **wanted: Any) -> list[dict[str, Any]]:
        """The JSON lines of the log that have these values."""
        lines = [json.loads(line) for line in self.written_lines()]
        return [line for line in lines if all(line.get(k) == v for k, v in wanted.items())]

    def written_lines(self) -> list[str]:
        """The whole lines of the log."""
        return self.log_file.read_text().split("\n")[:-1]

    def log_line(self, **wanted: Any) -> dict[str, Any]:
        """The one line with these values, once it has been written."""
        lines: list[dict[str, Any]] = wait_until(lambda: self.log_lines(**wanted))
        assert len(lines) == 1
        return lines[0]


def chat_body(*, stream: bool, **fields: Any) -> dict[str, Any]:
    """A small chat request."""
    messages = [{"role": "user", "content": "hello"}]
    return {"model": "fake/model-1", "stream": stream, "messages": messages, **fields}
