"""What the kernel holds for a proxy's connections, as `ss` shows it in `skmem`.

    r   bytes of memory in the receive queue     w   in the send queue, sent and not yet acknowledged or not
    t   in flight; for a Unix socket, what its peer has not read yet: there it is charged to the sender

These are sizes of memory, not of data: what a small packet wastes counts too.
"""

import re
import subprocess
from dataclasses import dataclass

SKMEM = re.compile(r"skmem:\(r(\d+),rb\d+,t(\d+),tb\d+,f\d+,w(\d+)")


@dataclass(frozen=True)
class Queues:
    """Sums over connections, in MB, and how many connections."""

    count: int
    receive: float
    send: float

    @property
    def total(self) -> float:
        """Both."""
        return self.receive + self.send


def tcp_queues(condition: str) -> Queues:
    """Of the TCP connections in any state that `ss` finds for the condition, such as `sport = :80`."""
    return _queues(["-t", "state", "connected", condition], is_unix=False)


def unix_queues(path: str) -> Queues:
    """Of a server's ends of the connections on a Unix socket: `send` is what its clients have not read."""
    return _queues(["-x", "state", "established", f"src {path}"], is_unix=True)


def _queues(arguments: list[str], *, is_unix: bool) -> Queues:
    command = ["ss", "-n", "-m", "-H", *arguments]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = [tuple(map(int, match.groups())) for match in SKMEM.finditer(shown)]
    send = sum(flying if is_unix else queued for _, flying, queued in found)
    return Queues(len(found), sum(received for received, _, _ in found) / 1e6, send / 1e6)
