"""What only a browser can tell: whether a page of another origin may really call the gateway."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.client import KEY
from tests.gateway import Gateway

CHROMIUM = (
    *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SECONDS = 30
# Calls as a chat client does, and tells its own server what it could read.
PAGE = """<!doctype html><script type="module">
const told = { events: [], times: [] };
const headers = { "Authorization": "Bearer KEY", "X-Stainless-Lang": "js" };
headers["Content-Type"] = "application/json";
try {
  const answer = await fetch("TARGET", { method: "METHOD", headers, body: BODY });
  told.status = answer.status;
  told.request_id = answer.headers.get("X-Request-Id");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part; !(part = await reader.read()).done;) {
    told.events.push(part.value);
    told.times.push(performance.now());
  }
} catch (error) {
  told.error = String(error);
}
await fetch("/told", { method: "POST", body: JSON.stringify(told) });
</script>"""
CHAT = {
    "model": "fake/model-1",
    "stream": True,
    "messages": [{"role": "user", "content": "hello"}],
    "fake": {"interval": 0.5, "events": 5},
}
Visit = Callable[..., dict[str, Any]]


class Site:
    """A page on a server of its own, and what the page has told it."""

    def __init__(self) -> None:
        self.page = ""
        self.told: Queue[dict[str, Any]] = Queue()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(site.page.encode())

            def do_POST(self) -> None:
                site.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def visit(site: Site, tmp_path: Path) -> Visit:
    """Open the page in a browser, with what it shall call filled in; returns what it told."""
    assert shutil.which("chromium"), "chromium is missing: apt-get install chromium"

    def open_page(gateway: Gateway, target: str, *, key: str = KEY, body: Any = None) -> dict[str, Any]:
        content = "undefined" if body is None else json.dumps(json.dumps(body))
        filled = PAGE.replace("METHOD", "GET" if body is None else "POST").replace("BODY", content)
        filled = filled.replace("TARGET", f"http://127.0.0.1:{gateway.port}{target}").replace("KEY", key)
        site.page = filled
        command = [*CHROMIUM, f"--user-data-dir={tmp_path / 'profile'}", site.origin]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                return site.told.get(timeout=SECONDS)
            finally:
                browser.terminate()

    return open_page


def test_a_page_streams_an_answer(start_gateway: Callable[..., Gateway], site: Site, visit: Visit) -> None:
    gateway = start_gateway(CORS_ALLOWED_ORIGINS=site.origin)
    gateway.wait_ready()

    told = visit(gateway, "/v1/chat/completions", body=CHAT)

    assert (told["status"], told.get("error")) == (200, None)
    assert "".join(told["events"]).endswith("data: [DONE]\n\n")
    assert told["times"][-1] - told["times"][0] > 200  # milliseconds: it came bit by bit
    line = gateway.log_line(message="request", request_id=told["request_id"])
    assert line["key_name"] == "tester"
    assert gateway.log_lines(message="request", method="OPTIONS", status=204)


def test_a_page_can_read_that_its_key_is_wrong(
    start_gateway: Callable[..., Gateway], site: Site, visit: Visit
) -> None:
    gateway = start_gateway(CORS_ALLOWED_ORIGINS="*")
    gateway.wait_ready()

    told = visit(gateway, "/v1/models", key="sk-wrong")

    assert (told["status"], told.get("error")) == (401, None)
    assert "missing_or_invalid_key" in "".join(told["events"])


@pytest.mark.parametrize(("origins", "target"), [("", "/v1/models"), ("https://other.example", "/v1/models"),
                                                 ("*", "/admin/status")])  # fmt: skip
def test_a_page_that_may_not_call_gets_nothing(
    start_gateway: Callable[..., Gateway], visit: Visit, origins: str, target: str
) -> None:
    gateway = start_gateway(CORS_ALLOWED_ORIGINS=origins)
    gateway.wait_ready()

    told = visit(gateway, target)

    assert "status" not in told
    assert "TypeError" in told["error"]
    assert not gateway.log_lines(message="request", method="GET", route=target)
