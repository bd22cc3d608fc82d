"""Wrong keys: each address has a budget of them. Beyond it, answers come late and write no line of their own.

A valid key never comes here, so it is never refused or delayed. Each worker counts by itself.
"""

import re
from contextlib import suppress
from ipaddress import IPv6Address, ip_address

from gevent import sleep
from throttled import MemoryStore, Throttled, per_min

from app.connection import ClientConnection
from app.errors import GatewayError
from app.logs import RequestRecord

PER_MINUTE = 60  # of one address, and as many at once
MAX_ADDRESSES = 10_000  # then the one that was not heard of for longest is forgotten
DELAY_SECONDS = 0.3
ANSWERS_PER_SECOND = 400  # that were kept back; the more of them wait, the longer each does
NOBODY = "unknown"
WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+", re.ASCII)  # some proxies add the port


class WrongKeys:
    """The budgets of all addresses, and the answers that are kept back."""

    def __init__(self) -> None:
        addresses = MemoryStore(options={"MAX_SIZE": MAX_ADDRESSES})
        self._budgets = Throttled(using="gcra", quota=per_min(PER_MINUTE), store=addresses)
        self._delayed = 0

    def note(self, record: RequestRecord, remote: str | None, connection: ClientConnection | None) -> None:
        """Count one more; returns late where the client's budget is used up.

        The client is `record.peer`, or `remote`, its end of the connection, where a proxy named no address.
        """
        address = address_of(record.peer) or address_of(remote) or NOBODY
        if not self._budgets.limit(address).limited:
            return
        record.throttled = address
        if connection is not None:
            self._keep_back(connection)

    def _keep_back(self, connection: ClientConnection) -> None:
        """Wait for a moment; less, or not at all, when others need the place."""
        if connection.is_crowded:
            connection.is_last = True
            return
        self._delayed += 1
        try:
            # Whoever ends the wait early wants the answer to be over, not another answer. A client that
            # leaves ends nothing: half a close would be a way around the wait.
            with suppress(GatewayError), connection.stoppable():
                sleep(max(DELAY_SECONDS, self._delayed / ANSWERS_PER_SECOND))
        finally:
            self._delayed -= 1


def address_of(text: str | None) -> str | None:
    """The address that stands for a client: its own, or the /64 that is one customer's in IPv6.

    None for what is no address.
    """
    match = WITH_PORT.fullmatch(text or "")
    try:
        address = ip_address((match[1] or match[2] or "") if match else text or "")
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or f"{IPv6Address(int(address) >> 64 << 64)}/64")
