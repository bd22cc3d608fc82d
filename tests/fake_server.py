"""What tests start in vLLM's place: takes its arguments, binds early, answers late, has an engine process.

It hears `VLLM_FAKE_IMPORT` and `VLLM_FAKE_WEIGHTS` (files that it waits for in these phases),
`VLLM_FAKE_EXIT` (a status to end with instead of serving), `VLLM_FAKE_STUBBORN` (SIGTERM is not heard) and
`VLLM_FAKE_CHATTY` (it writes a line of log for every step of its loop, and waits for it to be taken).
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.fake_vllm import FakeVllm


def wait_for(path: str | None) -> None:
    """Until the file exists."""
    while path and not os.path.exists(path):
        time.sleep(0.01)


def bind(arguments: argparse.Namespace) -> socket.socket:
    """As vLLM does before it loads the model: bound, not listening."""
    if arguments.uds:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(arguments.uds)
    else:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((arguments.host, arguments.port))
    return sock


async def serve(sock: socket.socket) -> None:
    """Answer until SIGTERM."""
    stopped = asyncio.Event()
    if not os.environ.get("VLLM_FAKE_STUBBORN"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    if sock.family == socket.AF_UNIX:
        await asyncio.start_unix_server(FakeVllm().serve, sock=sock)
    else:
        await asyncio.start_server(FakeVllm().serve, sock=sock)
    while os.environ.get("VLLM_FAKE_CHATTY") and not stopped.is_set():
        sys.stdout.write("x" * 1000 + "\n")
        sys.stdout.flush()
        await asyncio.sleep(0.001)
    await stopped.wait()


def main() -> int:
    """One life of the server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--uds")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    arguments, _ = parser.parse_known_args()
    if os.environ.get("VLLM_FAKE_STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait_for(os.environ.get("VLLM_FAKE_IMPORT"))
    sock = bind(arguments)
    engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "engine"])
    try:
        wait_for(os.environ.get("VLLM_FAKE_WEIGHTS"))
        if status := os.environ.get("VLLM_FAKE_EXIT"):
            return int(status)
        asyncio.run(serve(sock))
    finally:
        engine.kill()
        engine.wait()
    return 0


def write_python(folder: Path, version: str = "") -> Path:
    """A program for VLLM_PYTHON that runs this module, whatever module it is told to run.

    Code that it is told to run asks for vLLM's version.
    """
    program = folder / f"python{version}"
    answer = f'[ "$2" = -c ] && exec echo "{version}"'
    program.write_text(f'#!/bin/sh\n{answer}\nexec {sys.executable} -m tests.fake_server "$@"\n')
    program.chmod(0o755)
    return program


if __name__ == "__main__":
    sys.exit(main())
