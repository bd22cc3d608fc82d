"""This checkout, and ports that are free on this machine."""

import socket
from pathlib import Path
from random import SystemRandom

ROOT = Path(__file__).parent.parent
# Below those that the system gives to connections: one of these could take it before its server does.
PORTS = range(10_000, 32_000)


def free_port() -> int:
    """A port that is free now, and that nobody else is likely to choose in this moment."""
    while True:
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", SystemRandom().choice(PORTS)))
            except OSError:
                continue
            return int(sock.getsockname()[1])
