"""A TCP proxy between the gateway and the fake vLLM that harms what passes."""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from tests.fake_output import end_others, reset

READ_BYTES = 65536
POLL_SECONDS = 0.01


@dataclass
class Faults:
    """What goes wrong from now on; times in seconds, sizes in bytes. The gateway's probes pass unharmed."""

    latency: float = 0.0  # before each piece, both ways
    bandwidth: int = 0  # bytes a second of an answer; 0 is no limit
    slice_bytes: int = 0  # an answer comes in pieces of this size, each sent by itself
    gather: float = 0.0  # so long bytes of an answer are held, to be sent at once
    is_blackhole: bool = False  # nothing passes, both ways, and everything stays open
    cut_after: int | None = None  # so many bytes of an answer pass, its head included, and then ...
    cut: Literal["reset", "close", "hang"] = "reset"  # ... this
    cuts_once: bool = False  # only the next answer


class Cut(Exception):
    """The answer has come to its harm; both sides of the connection are closed."""


@dataclass
class Exchange:
    """The request that runs on one connection."""

    is_harmed: bool = False  # a POST, not a probe
    passed: int = 0  # bytes of its answer that went on to the gateway
    request_id: str = ""  # of the gateway


class FaultProxy:
    """The proxy on a free port, in a thread of this process. Set `faults` at any time."""

    def __init__(self, upstream_port: int) -> None:
        self.faults = Faults()
        self.answers: dict[str, bytearray] = {}  # what the upstream sent, heads included, by the request's id
        self._upstream_port = upstream_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self._fillers: list[socket.socket] = []
        self._serving: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)
        return self

    def __exit__(self, *_exc: object) -> None:
        asyncio.run_coroutine_threadsafe(end_others(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        for sock in (self._listener, *self._fillers):
            sock.close()

    def swallow_connects(self) -> None:
        """From now on a connect gets no answer at all; the connections that there are get a reset."""
        asyncio.run_coroutine_threadsafe(self._swallow(), self._loop).result(5)

    async def _swallow(self) -> None:
        self._accepting.cancel()
        await asyncio.wait((self._accepting,))
        self._listener.listen(0)
        for _ in range(4):  # more than a queue of length 0 takes
            filler = socket.socket()
            self._fillers.append(filler)
            filler.setblocking(False)
            filler.connect_ex(self._listener.getsockname())
        for writer in tuple(self._writers):
            reset(writer)

    async def _start(self) -> None:
        self._accepting = asyncio.create_task(self._accept())

    async def _accept(self) -> None:
        while True:
            sock, _ = await self._loop.sock_accept(self._listener)
            task = asyncio.create_task(self._serve(sock))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve(self, sock: socket.socket) -> None:
        down, gateway = await asyncio.open_connection(sock=sock)
        up, upstream = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        self._writers |= {gateway, upstream}
        exchange = Exchange()
        ways = [self._carry_up(down, upstream, exchange), self._carry_down(up, gateway, exchange)]
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in (gateway, upstream):
                self._writers.discard(writer)
                writer.close()

    async def _carry_up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: Exchange
    ) -> None:
        while data := await reader.read(READ_BYTES):
            if data.startswith((b"GET ", b"POST ")):
                exchange.is_harmed, exchange.passed = data.startswith(b"POST "), 0
                exchange.request_id = id_of(data)
            if exchange.is_harmed:
                await self._delay()
            await self._send(writer, data)

    async def _carry_down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: Exchange
    ) -> None:
        with suppress(Cut), passing_on_resets(writer):
            while data := await reader.read(READ_BYTES):
                if not exchange.is_harmed:
                    await self._send(writer, data)
                    continue
                if self.faults.gather:
                    data += await self._gather(reader)
                self.answers.setdefault(exchange.request_id, bytearray()).extend(data)
                for piece in self._slice(data):
                    await self._harm(piece, writer, exchange)

    async def _delay(self) -> None:
        await asyncio.sleep(self.faults.latency)
        while self.faults.is_blackhole:
            await asyncio.sleep(POLL_SECONDS)

    async def _gather(self, reader: asyncio.StreamReader) -> bytes:
        await asyncio.sleep(self.faults.gather)
        with suppress(TimeoutError):
            return await asyncio.wait_for(reader.read(READ_BYTES), POLL_SECONDS)
        return b""

    def _slice(self, data: bytes) -> list[bytes]:
        size = self.faults.slice_bytes or len(data)
        return [data[start : start + size] for start in range(0, len(data), size)]

    async def _harm(self, piece: bytes, writer: asyncio.StreamWriter, exchange: Exchange) -> None:
        faults = self.faults
        await self._delay()
        if faults.bandwidth:
            await asyncio.sleep(len(piece) / faults.bandwidth)
        if faults.cut_after is not None and exchange.passed + len(piece) >= faults.cut_after:
            await self._send(writer, piece[: faults.cut_after - exchange.passed])
            await self._cut(writer)
        exchange.passed += len(piece)
        await self._send(writer, piece)

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    async def _cut(self, writer: asyncio.StreamWriter) -> None:
        if self.faults.cuts_once:
            self.faults.cut_after = None
        if self.faults.cut == "hang":
            await asyncio.sleep(3600)
        if self.faults.cut == "reset":
            reset(writer)
        raise Cut


def id_of(head: bytes) -> str:
    """The gateway's id of a request that begins so; nothing for a request of its own."""
    found = re.search(rb"\r\nx-request-id: ([^\r]+)", head, re.IGNORECASE)
    return found[1].decode() if found else ""


@contextmanager
def passing_on_resets(writer: asyncio.StreamWriter) -> Iterator[None]:
    """A reset on one side becomes a reset on the other."""
    try:
        yield
    except ConnectionError:
        reset(writer)
