"""A container whose log goes to a pipe of root's that nobody empties."""

import fcntl
import os
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.models import CPU_DEFAULT
from tests.image.container import STOP_SECONDS, Container


@pytest.fixture
def container(rootfs: Path, tmp_path: Path) -> Iterator[Container]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    running = Container(tmp_path, rootfs)
    try:
        running.start(stdout=writer)
        os.close(writer)
        running.wait_ready()
        assert pending(reader) > 3000  # no room for a line of the gateway's
        yield running
    finally:
        running.__exit__()
        os.close(reader)


def pending(reader: int) -> int:
    """Bytes that wait in a pipe."""
    return struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, b"0000"))[0]


def test_a_log_that_nobody_reads_stops_neither_answers_nor_the_end(container: Container) -> None:
    body = {
        "model": CPU_DEFAULT,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "max_tokens": 30,
    }
    for _ in range(3):
        reply = container.post("/v1/chat/completions", body)
        assert reply.status == 200
        assert reply.body.endswith(b"data: [DONE]\n\n")

    assert container.stop() < STOP_SECONDS
    assert container.process.returncode == 0
