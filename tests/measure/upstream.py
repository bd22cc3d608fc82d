"""The fake vLLM in a process of its own, with lean streams for loads, and a count of what it saw.

A field `measure` in the request's body asks for a lean stream instead of the fake's script:

    {"measure": {"events": 1000, "interval": 0.02, "event_bytes": 230}}   paced, each with its time
    {"measure": {"events": 1000000}}                                      at full speed

`GET /__seen` tells how many requests came, how many connections are open, and when clients left:
by the field `user` of their request, on CLOCK_MONOTONIC, which all processes of a machine share.
"""

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from tests.client import RawClient
from tests.fake_vllm import FakeVllm, Received, send_plain
from tests.local import ROOT

REMEMBERED = 2000  # requests: a soak may not grow
BLOCK_BYTES = 64 * 1024
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
CHOICE = b'{"index":0,"delta":{"content":"%b"},"finish_reason":%b}'
EVENT = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","sent":"%017.6f","choices":[%b]}\n\n'
END = EVENT % (0.0, CHOICE % (b"", b'"stop"')) + b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    """As a server frames a piece of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def make_event(size: int, sent: float = 0.0) -> bytes:
    """An event of about so many bytes that carries a time."""
    bare = len(EVENT % (0.0, CHOICE % (b"", b"null")))
    return EVENT % (sent, CHOICE % (b"x" * (size - bare), b"null"))


class MeasuredVllm(FakeVllm):
    """The fake, with lean streams and a memory of bounded size."""

    def __init__(self) -> None:
        super().__init__()
        self.received = deque(maxlen=REMEMBERED)  # type: ignore[assignment]
        self.posts = 0

    async def _answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        self.posts += request.method == "POST"
        if request.target == "/__seen":
            await send_plain(writer, 200, json.dumps(self._seen()).encode())
        elif b'"measure"' in request.body:
            await stream(writer, **request.json()["measure"])
        else:
            await super()._answer(request, writer)

    def _seen(self) -> dict[str, Any]:
        marked = [request for request in self.received if b'"user":' in request.body]
        left = {request.json()["user"]: request.client_left_at for request in marked}
        return {"posts": self.posts, "open": self.open_connections, "left": left}


async def stream(
    writer: asyncio.StreamWriter, events: int, interval: float = 0.0, event_bytes: int = 230
) -> None:
    """Write a whole answer of so many events."""
    writer.write(HEAD)
    if interval:
        await write_paced(writer, events, interval, event_bytes)
    else:
        await write_fast(writer, events, event_bytes)
    writer.write(chunk(END) + b"0\r\n\r\n")
    await writer.drain()


async def write_paced(writer: asyncio.StreamWriter, events: int, interval: float, size: int) -> None:
    """Each event at its time, and with it."""
    due = time.monotonic()
    for _ in range(events):
        writer.write(chunk(make_event(size, time.monotonic())))
        await writer.drain()
        due += interval
        await asyncio.sleep(due - time.monotonic())


async def write_fast(writer: asyncio.StreamWriter, events: int, size: int) -> None:
    """As fast as they are taken, some at a time, so that this process is not what is measured."""
    event = chunk(make_event(size))
    at_once = max(1, BLOCK_BYTES // size)
    block = event * at_once
    for start in range(0, events, at_once):
        writer.write(block if events - start >= at_once else event * (events - start))
        await writer.drain()
        await asyncio.sleep(0)  # drain returns at once while the kernel takes everything


async def serve(socket_path: str | None) -> None:
    """Serve for ever on a free port, which goes to the standard output, and on a Unix socket too."""
    fake = MeasuredVllm()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0, backlog=2048)
    if socket_path:
        await asyncio.start_unix_server(fake.serve, socket_path, backlog=2048)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


class Upstream:
    """That process."""

    names = itertools.count()

    def __init__(self, folder: Path, *, unix: bool = False) -> None:
        self.socket_path = str(folder / f"model-{next(self.names)}.sock") if unix else ""

    def __enter__(self) -> "Upstream":
        command = [sys.executable, "-m", "tests.measure.upstream", "--uds", self.socket_path]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_exc: object) -> None:
        self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def kill(self) -> None:
        """As the kernel would."""
        self.process.kill()
        self.process.wait()

    @property
    def url(self) -> str:
        """What VLLM_BASE_URL takes."""
        return f"unix://{self.socket_path}" if self.socket_path else f"http://127.0.0.1:{self.port}"

    def seen(self) -> dict[str, Any]:
        """What it has seen so far; asked past the gateway."""
        with RawClient(self.port) as client:
            client.send_request("GET", "/__seen")
            client.read_head()
            content: dict[str, Any] = json.loads(client.read_body())
            return content


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The fake vLLM, for measurements.")
    parser.add_argument("--uds", default="")
    asyncio.run(serve(parser.parse_args().uds))
