"""The outlet of log lines: in order, whole, and never waiting."""

import os
import re
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.log_output import MAX_PENDING_BYTES, Outlet, pump

LINE = "x" * 999 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield reading, writing
    os.close(reading)
    os.close(writing)


@contextmanager
def limited_file_size(size: int) -> Iterator[None]:
    """What a full disk looks like to a process that hears SIGXFSZ as an error, as Python does."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def drain(reading: int) -> bytes:
    taken = b""
    with suppress(BlockingIOError):
        while data := os.read(reading, 65536):
            taken += data
    return taken


def test_a_line_is_written_at_once(pipe: tuple[int, int]) -> None:
    Outlet(pipe[1]).write("one\n")

    assert drain(pipe[0]) == b"one\n"


def test_lines_that_have_no_room_come_later_in_order(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1])
    numbered = [f"{number:>1998}\n" for number in range(200)]
    for line in numbered:
        outlet.write(line)

    taken = b""
    while data := drain(pipe[0]):
        taken += data
        outlet.flush()

    assert taken.decode() == "".join(numbered)
    assert outlet.take_lost() == 0


def test_a_line_longer_than_a_pipe_is_finished_before_the_next(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1])
    outlet.write("y" * 200_000 + "\n")
    outlet.write(LINE)

    taken = b""
    while data := drain(pipe[0]):
        taken += data
        outlet.flush()

    assert taken.decode() == "y" * 200_000 + "\n" + LINE


def test_what_is_more_than_is_kept_is_counted_once_there_is_room(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1])
    for _ in range(MAX_PENDING_BYTES // len(LINE) + 200):
        outlet.write(LINE)
    assert outlet.take_lost() == 0  # nobody could read it yet

    taken = b""
    while data := drain(pipe[0]):
        taken += data
        outlet.flush()

    assert outlet.take_lost() == MAX_PENDING_BYTES // len(LINE) + 200 - taken.count(b"\n")
    assert outlet.take_lost() == 0


def pumped(pieces: list[bytes], pipe: tuple[int, int]) -> bytes:
    """What comes out of `pump` for pieces that go in one by one."""
    reading, writing = os.pipe()
    for piece in pieces:
        os.write(writing, piece)
    os.close(writing)
    pump(reading, Outlet(pipe[1]))
    os.close(reading)
    return drain(pipe[0])


@pytest.mark.parametrize(
    "pieces", [[b"one\n", b"two\n"], [b"10 %\r", b"20 %\r\n"], [b"no end"], [b"\n"], [], [b"x" * 60_000]]
)
def test_a_pump_passes_every_byte_and_adds_none(pieces: list[bytes], pipe: tuple[int, int]) -> None:
    assert pumped(pieces, pipe) == b"".join(pieces)


def test_a_pump_calls_the_level_of_vllms_json_a_severity(pipe: tuple[int, int]) -> None:
    line = b'{"asctime": "x", "levelname": "WARNING", "message": "a, \\"levelname\\": \\"b"}\n'

    assert pumped([line], pipe) == line.replace(b"levelname", b"severity", 1)


@pytest.mark.parametrize(
    "line", [b'say {"asctime": "x", "levelname": "INFO"}\n', b'{"a": 1, "levelname": "x"}\n']
)
def test_a_pump_changes_no_line_of_another_kind(line: bytes, pipe: tuple[int, int]) -> None:
    assert pumped([line], pipe) == line


def test_a_pump_tells_how_many_lines_were_lost(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1])
    for _ in range(MAX_PENDING_BYTES // len(LINE) + 200):
        outlet.write(LINE)
    while drain(pipe[0]):
        outlet.flush()
    reading, writing = os.pipe()
    os.write(writing, b"next\n")
    os.close(writing)

    pump(reading, outlet)

    assert re.fullmatch(rb"[1-9]\d* lines of this log were lost\nnext\n", drain(pipe[0]))
    os.close(reading)


def test_the_shared_pipe_itself_stays_as_it_was(pipe: tuple[int, int]) -> None:
    Outlet(pipe[1]).write(LINE)

    assert os.get_blocking(pipe[1])


def test_a_socket_that_nobody_reads_does_not_wait_either() -> None:
    near, far = socket.socketpair()
    with near, far:
        outlet = Outlet(near.fileno())
        for _ in range(2000):
            outlet.write(LINE)

        assert near.getblocking()
        assert far.recv(len(LINE)).decode() == LINE


def test_a_reader_that_has_gone_only_loses_lines() -> None:
    reading, writing = os.pipe()
    outlet = Outlet(writing)
    os.close(reading)

    outlet.write(LINE)
    outlet.write(LINE)

    assert outlet.take_lost() == 0  # nobody would hear of it
    os.close(writing)


def test_a_disk_that_was_full_is_told_of_once_it_is_not(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    outlet = Outlet(descriptor)
    with limited_file_size(0):
        outlet.write(LINE)
        outlet.write(LINE)
    outlet.write(LINE)

    assert outlet.take_lost() == 2
    assert os.pread(descriptor, 9999, 0).decode() == LINE
    os.close(descriptor)
