"""Log lines to stdout, without ever waiting for whoever reads them.

A pipe that nobody empties would stop a worker, and with it every stream. Its own lines are the lesser loss.
entrypoint.sh runs this file for the lines of vLLM and its own.
"""

import _socket  # gevent's would change the descriptor for every process that shares it
import logging
import os
import select
import signal
import stat
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress

MAX_PENDING_BYTES = 1024 * 1024
STDOUT = 1
READ_BYTES = 64 * 1024
VLLM_JSON = b'{"asctime": "'
PUMP_SECONDS = 0.2  # how often kept lines are tried again while no new ones come


class Outlet:
    """A text stream that writes what is taken at once, keeps a little of the rest, and drops what is more."""

    def __init__(self, descriptor: int) -> None:
        self._write = open_writer(descriptor)
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._lost = 0
        self.lost_ever = 0  # by this process
        self._is_taken = True
        os.register_at_fork(after_in_child=self._forget)

    def write(self, text: str) -> None:
        """Write a line, now or later or never."""
        self.write_line(text.encode(errors="replace"))

    def write_line(self, line: bytes) -> None:
        """The same for bytes."""
        self.flush()
        rest = line if self._pending else self._try(line)
        if rest and self._pending_bytes + len(rest) > MAX_PENDING_BYTES:
            self._lose()
        elif rest:
            self._pending.append(rest)
            self._pending_bytes += len(rest)

    def flush(self) -> None:
        """Write what was kept, as far as it is taken; to be called now and then."""
        while self._pending:
            line = self._pending.popleft()
            rest = self._try(line)
            self._pending_bytes -= len(line) - len(rest)
            if rest:
                self._pending.appendleft(rest)
                return

    @property
    def has_kept(self) -> bool:
        """Whether something waits for `flush`."""
        return bool(self._pending)

    def take_lost(self) -> int:
        """How many lines were dropped, once there is room to say so."""
        self.flush()
        lost = self._lost if self._is_taken and not self._pending else 0
        self._lost -= lost
        return lost

    def _try(self, line: bytes) -> bytes:
        """What of the line is still to be written."""
        try:
            line = line[self._write(line) :]
            self._is_taken = True
        except BlockingIOError:
            pass
        except OSError:  # a full disk, a reader that is gone: nothing is kept for later
            self._is_taken = False
            self._lose()
            return b""
        return line

    def _lose(self) -> None:
        self._lost += 1
        self.lost_ever += 1

    def _forget(self) -> None:
        """A forked worker does not write its master's lines again."""
        self._pending.clear()
        self._pending_bytes = self._lost = self.lost_ever = 0


class LogOutput(logging.StreamHandler[Outlet]):
    """The handler of every logger; says how many lines were lost before the first that is not."""

    def __init__(self) -> None:
        super().__init__(Outlet(STDOUT))

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, behind one that tells of lost lines where there were any."""
        line = super().format(record)
        lost = self.stream.take_lost()
        if not lost:
            return line
        told = logging.makeLogRecord({"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"})
        told.msg, told.lost = "log lines were lost", lost
        return f"{super().format(told)}\n{line}"


def open_writer(descriptor: int) -> Callable[[bytes], int]:
    """A function that writes to the descriptor and raises BlockingIOError where that would have to wait.

    Other processes hold the same open file, and vLLM does not expect it to be non-blocking: so a pipe or a
    terminal is opened once more. Where that is not allowed, and for a file, writes are as patient as ever.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        socket = _socket.socket(fileno=os.dup(descriptor))
        return lambda line: socket.send(line, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            descriptor = os.open(f"/proc/self/fd/{descriptor}", flags)
    return lambda line: os.write(descriptor, line)


def with_severity(line: bytes) -> bytes:
    """A line as it is; one of vLLM's in JSON calls its level what Google's Cloud Logging looks for."""
    return line.replace(b', "levelname": "', b', "severity": "', 1) if line.startswith(VLLM_JSON) else line


def pump(source: int, outlet: Outlet) -> None:
    """Pass on what comes from a program that must not wait for the reader either, until its end."""
    rest = b""
    while True:
        patience = PUMP_SECONDS if outlet.has_kept else None
        if not select.select([source], [], [], patience)[0]:
            outlet.flush()
            continue
        data = os.read(source, READ_BYTES)
        lines = (rest + data).splitlines(keepends=True)  # a progress bar ends its with \r
        is_cut = data and lines and lines[-1][-1:] not in (b"\n", b"\r") and len(lines[-1]) <= READ_BYTES
        rest = lines.pop() if is_cut else b""
        if lost := outlet.take_lost():
            outlet.write_line(b"%d lines of this log were lost\n" % lost)
        for line in lines:
            outlet.write_line(with_severity(line))
        if not data:
            return


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when those who write have ended
    pump(sys.stdin.fileno(), Outlet(STDOUT))
