"""What the kernel says of the network that the tests and the containers are alone in."""

from pathlib import Path


def interfaces() -> list[str]:
    """Of this network namespace."""
    return [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]]


def listening() -> set[tuple[str, str, int, int]]:
    """Sockets that anybody could send something to: protocol, address in hex, port, user."""
    found = set()
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            if protocol.startswith("udp") or fields[3] == "0A":
                found.add((protocol, address, int(port, 16), int(fields[7])))
    return found
