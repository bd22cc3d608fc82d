"""How the scripted stand-in for vLLM writes its answers: framing, pace, and the ways to fail."""

import asyncio
import socket
import struct

from tests.fake_answers import Script


class Output:
    """Writes one answer in the scripted framing, and remembers its body."""

    def __init__(
        self, writer: asyncio.StreamWriter, script: Script, sent: bytearray, extra_head_line: str
    ) -> None:
        self._extra = [extra_head_line] if extra_head_line else []
        self._writer = writer
        self._script = script
        self._sent = sent

    def _head(self, content_type: str, length: int | None) -> bytes:
        script = self._script
        headers = {"server": "uvicorn", "content-type": script.content_type or content_type}
        if script.framing == "chunked":
            headers["transfer-encoding"] = "chunked"
        elif script.framing == "close":
            headers["connection"] = "close"
        if length is not None:
            headers["content-length"] = str(length)
        lines = [f"{name}: {value}" for name, value in (headers | script.headers).items()]
        return "\r\n".join([f"HTTP/1.1 {script.status} OK", *self._extra, *lines, "", ""]).encode()

    async def _write(self, body: bytes) -> None:
        self._sent += body
        step = self._script.write_bytes or len(body)
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            if self._script.framing == "chunked":
                piece = b"%x\r\n%b\r\n" % (len(piece), piece)
            self._writer.write(piece)
            await self._writer.drain()
            if self._script.write_bytes:
                await asyncio.sleep(0)

    async def _finish(self) -> None:
        if self._script.framing == "chunked":
            self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        if self._script.framing == "close":
            self._writer.close()

    async def plain(self, body: bytes) -> None:
        """A whole body at once, or half of it and then the failure."""
        length = len(body) if self._script.framing == "length" else None
        self._writer.write(self._head("application/json", length))
        if self._script.fail_after is not None:
            await self._write(body[: len(body) // 2])
            await self._fail(b"")
            return
        await self._write(body)
        await self._finish()

    async def raw(self, pieces: list[str]) -> None:
        """Bytes as they are, each piece in a write of its own, then the failure if there is one."""
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(self._script.interval)
            self._writer.write(piece.encode("latin-1"))
            await self._writer.drain()
        if self._script.fail_after is not None:
            await self._fail(b"")

    async def stream(self, events: list[bytes]) -> None:
        """Events at their interval, up to the scripted failure."""
        script = self._script
        length = sum(map(len, events)) if script.framing == "length" else None
        self._writer.write(self._head("text/event-stream; charset=utf-8", length))
        await self._writer.drain()
        await asyncio.sleep(script.before_first_event)
        for number, event in enumerate(events):
            if number == script.fail_after:
                await self._fail(event)
                return
            if number:
                await asyncio.sleep(script.interval)
            await self._write(event)
        await self._finish()

    async def _fail(self, next_event: bytes) -> None:
        match self._script.failure:
            case "half_event":
                await self._write(next_event[: len(next_event) // 2])
                reset(self._writer)
            case "error_event":
                await self._write(b'data: {"error": {"message": "engine died", "code": 500}}\n\n')
                await self._write(b"data: [DONE]\n\n")
                await self._finish()
            case "hang":
                await asyncio.sleep(3600)
            case "close":
                self._writer.close()
            case "reset":
                reset(self._writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of an end."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def end_others() -> None:
    """End every task of this loop but the one that asks."""
    running = asyncio.all_tasks() - {asyncio.current_task()}
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await asyncio.sleep(0.01)  # the transports close in the loop's next turns
