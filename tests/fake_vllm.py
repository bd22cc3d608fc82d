"""A scripted stand-in for vLLM: a real HTTP server that does what the request's `fake` field says.

    python -m tests.fake_vllm --port 8000

The script travels in the body, because the gateway forwards unknown fields and few headers:

    {"model": "fake", "stream": true, "fake": {"events": 5, "interval": 0.2, "framing": "close"}}
"""

import argparse
import asyncio
import itertools
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.fake_answers import API_EVENTS, WORDS, Script, models, told_tokens
from tests.fake_metrics import METRICS
from tests.fake_output import Output, end_others, reset
from tests.fake_plain import plain_answer


@dataclass
class Received:
    """One request as it came, and how its answer ended."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int
    sent: bytearray = field(default_factory=bytearray)  # the answer's body, as far as it went
    told: tuple[int, int, int] | None = None  # the tokens that its answer told, once that was sent wholly
    client_left_at: float | None = None
    ended: bool = False

    @property
    def request_id(self) -> str:
        """The gateway's id of the request."""
        return dict(self.headers).get("x-request-id", "")

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class FakeVllm:
    """The server. `received` grows by each request; attributes may be changed while it runs."""

    def __init__(self, **defaults: Any) -> None:
        self.defaults = defaults  # of every script
        self.received: list[Received] = []
        self.health_status = 200
        self.health_resets = 0  # so many probes get a head and then a reset
        self.health_hangs = False  # probes get no answer at all
        self.open_connections = 0
        self.extra_head_line = ""  # before the framing of every completion
        self.models = (200, json.dumps(models()).encode())
        self.metrics = (200, METRICS.encode())
        self._connections = itertools.count()

    def sent(self, request_id: str) -> bytes:
        """The body that was sent for a request id of the gateway."""
        return next(bytes(r.sent) for r in self.received if r.request_id == request_id)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        connection = next(self._connections)
        self.open_connections += 1
        try:
            while request := await read_request(reader, connection):
                self.received.append(request)
                await self._answer_watched(request, reader, writer)
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self.open_connections -= 1
            writer.close()

    async def _answer_watched(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer, and stop as vLLM does when the client leaves in between."""
        answer = asyncio.ensure_future(self._answer(request, writer))
        left = asyncio.ensure_future(wait_for_end(reader))
        done, _ = await asyncio.wait((answer, left), return_when=asyncio.FIRST_COMPLETED)
        was_cut = answer not in done or isinstance(answer.exception(), ConnectionError)
        for task in (answer, left):
            task.cancel()
        await asyncio.gather(answer, left, return_exceptions=True)
        if was_cut:
            request.client_left_at = time.monotonic()
            writer.close()
        elif not answer.cancelled():
            request.ended = True
            answer.result()

    async def _answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        path = request.target.split("?")[0]
        if path == "/health":
            await self._tell_health(writer)
        elif path in ("/v1/models", "/metrics") and request.method == "GET":
            await send_plain(writer, *(self.models if path == "/v1/models" else self.metrics))
        elif request.method == "POST" and path in ROUTES:
            await self._complete(request, writer)
        else:
            await send_plain(writer, 404, b'{"detail":"Not Found"}')

    async def _tell_health(self, writer: asyncio.StreamWriter) -> None:
        while self.health_hangs:
            await asyncio.sleep(0.05)
        if not self.health_resets:
            await send_plain(writer, self.health_status, b"")
            return
        self.health_resets -= 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
        await writer.drain()
        reset(writer)

    def script_for(self, asked: dict[str, Any]) -> Script:
        """What the request wants done."""
        return Script(**{**self.defaults, **asked.get("fake", {})})

    async def _complete(self, request: Received, writer: asyncio.StreamWriter) -> None:
        asked = request.json()
        script = self.script_for(asked)
        await asyncio.sleep(script.before_head)
        out = Output(writer, script, request.sent, self.extra_head_line)
        if script.raw is not None:
            await out.raw(script.raw)
        elif script.body is not None or not asked.get("stream") or request.target not in API_EVENTS:
            body = script.body or json.dumps(plain_answer(request.target, asked, script))
            await out.plain(body.encode(script.encoding))
        else:
            await out.stream(API_EVENTS[request.target](asked, script))
        if script.raw is None and script.body is None and script.fail_after is None and script.status < 400:
            request.told = told_tokens(request.target, script)


async def wait_for_end(reader: asyncio.StreamReader) -> None:
    """Return when the client closes; a next request on the connection is left alone."""
    while not reader.at_eof():
        if reader._buffer:  # type: ignore[attr-defined]  # asyncio has no way to peek
            await asyncio.sleep(3600)
        await reader._wait_for_data("wait_for_end")  # type: ignore[attr-defined]


async def read_request(reader: asyncio.StreamReader, connection: int) -> Received | None:
    """The next request on the connection; None when the client is done with it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
    length = int(dict(headers).get("content-length", 0))
    return Received(method, target, headers, await reader.readexactly(length), connection)


async def send_plain(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    """A small JSON answer."""
    lines = (f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(body)}")
    writer.write("\r\n".join((*lines, "", "")).encode() + body)
    await writer.drain()


ROUTES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/embeddings",
    "/tokenize",
    "/detokenize",
    # What vLLM would also answer, so that a leak in the route table shows.
    "/invocations",
    "/pause",
    "/abort_requests",
)


class FakeVllmThread:
    """The fake on a free port (or a Unix socket), in a thread of this process."""

    def __init__(
        self,
        socket_path: str | None = None,
        tls: ssl.SSLContext | None = None,
        fake: FakeVllm | None = None,
    ) -> None:
        self.fake = fake or FakeVllm()
        self._tls = tls
        self.port = 0
        self._socket_path = socket_path
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "FakeVllmThread":
        self._thread.start()
        self._started.wait(5)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    @property
    def url(self) -> str:
        """What VLLM_BASE_URL takes."""
        if self._socket_path:
            return f"unix://{self._socket_path}"
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        if self._socket_path:
            server = await asyncio.start_unix_server(self.fake.serve, self._socket_path)
        else:
            server = await asyncio.start_server(self.fake.serve, "127.0.0.1", 0, ssl=self._tls)
            self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        await end_others()


async def run(port: int) -> None:
    """Serve for ever, at the pace of a small model."""
    fake = FakeVllm(interval=0.05, events=len(WORDS))
    server = await asyncio.start_server(fake.serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    asyncio.run(run(parser.parse_args().port))
