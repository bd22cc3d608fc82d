"""A stand-in for the Hugging Face hub: a real HTTP server that has one model at one commit.

    python -m tests.fake_hub .models/SmolLM2-135M-Instruct HuggingFaceTB/SmolLM2-135M-Instruct --port 8086

It knows what the official client asks of the real one. Without its token one gets a gated model's answer.
"""

import argparse
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_" + "madeUpTokenOfTheFakeHub"
INFO = re.compile(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?")
TREE = re.compile(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)")
FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


class FakeHub:
    """`requests` grows by the method, the path and the token of each request."""

    def __init__(self, name: str, files: dict[str, bytes | Path], port: int = 0) -> None:
        self.name = name
        self.files = files
        self.token: str | None = TOKEN  # None: the model is for everybody
        self.missing_bytes = 0  # of each file: what is sent is shorter than the model's page says
        self.answers_with = COMMIT  # the commit that the hub says it is
        self.requests: list[tuple[str, str, str | None]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("OfThisHub", (Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def serving(self) -> Iterator["FakeHub"]:
        """In the background."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def serve(self) -> None:
        """Until this process ends."""
        self._server.serve_forever()

    def listing(self) -> list[dict[str, Any]]:
        """What the model consists of."""
        return [
            {"type": "file", "oid": digest_of(content), "path": name, "size": size_of(content)}
            for name, content in self.files.items()
        ]

    def info(self) -> dict[str, Any]:
        """The model's page, for programs."""
        sizes = {name: size_of(content) + self.missing_bytes for name, content in self.files.items()}
        siblings = [{"rfilename": name, "size": size} for name, size in sizes.items()]
        known = {"id": self.name, "modelId": self.name, "sha": self.answers_with, "private": False}
        return {**known, "tags": [], "downloads": 0, "likes": 0, "siblings": siblings}


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive."""

    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Nothing: `requests` has it all."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        given = self.headers.get("Authorization")
        token = given.removeprefix("Bearer ") if given else None
        self.hub.requests.append((self.command, path, token))
        file = FILE.fullmatch(path)
        found = file or TREE.fullmatch(path) or INFO.fullmatch(path)
        if not found or found[1] != self.hub.name:
            self._refuse(401, "", "Invalid username or password.")  # as for one that is private
        elif self.hub.token not in (None, token):
            self._refuse(401, "GatedRepo", "Access to this model is restricted.")
        elif found[2] != COMMIT:
            self._refuse(404, "RevisionNotFound", "Invalid rev id.")
        elif file:
            self._give(file[3])
        else:
            self._json(self.hub.listing() if TREE.fullmatch(path) else self.hub.info())

    def _give(self, name: str) -> None:
        if name not in self.hub.files:
            self._refuse(404, "EntryNotFound", "Entry not found.")
            return
        content = self.hub.files[name]
        head = {
            "X-Repo-Commit": self.hub.answers_with,
            "ETag": f'"{digest_of(content)}"',
            "Accept-Ranges": "bytes",
        }
        body = content if isinstance(content, bytes) else content.read_bytes()
        self._send(200, body, head, "application/octet-stream")

    def _refuse(self, status: int, code: str, text: str) -> None:
        head = {"X-Error-Message": text, **({"X-Error-Code": code} if code else {})}
        self._send(status, json.dumps({"error": text}).encode(), head)

    def _json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), {"X-Repo-Commit": self.hub.answers_with})

    def _send(self, status: int, body: bytes, head: dict[str, str], kind: str = "application/json") -> None:
        self.send_response(status)
        head = {"Content-Type": kind, "Content-Length": str(len(body)), **head}
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def digest_of(content: bytes | Path) -> str:
    """What names the content."""
    return hashlib.sha1(content if isinstance(content, bytes) else content.read_bytes()).hexdigest()


def size_of(content: bytes | Path) -> int:
    """In bytes."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def files_of(folder: Path) -> dict[str, bytes | Path]:
    """Every file below the folder, by its path there."""
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def main() -> None:
    """Serve a folder."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_hub", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("--port", type=int, default=8086)
    arguments = parser.parse_args()
    FakeHub(arguments.name, files_of(arguments.folder), arguments.port).serve()


if __name__ == "__main__":
    main()
