"""This checkout, and ports that are free on this machine."""

import socket
from pathlib import Path

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    """A port that is free now; who uses it has to try again when somebody else was faster."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
