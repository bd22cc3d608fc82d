"""The latest requests that failed, over all workers: what the log says of them, less what clients wrote.

Each worker writes into places of its own, so nothing has to be locked; an older one is overwritten.
"""

import mmap
import time
from typing import NamedTuple

import msgspec

from app.instance import Instance
from app.logs import RequestRecord, clean_known
from app.relay import COMPLETE, GONE
from app.shared_table import SLOTS

ENTRY_BYTES = 512
KNOWN, STRANGERS = 48, 16  # places of one worker; strangers have few, so that they push nobody else out
SHOWN, SHOWN_STRANGERS = 50, 12
SLOT_BYTES = ENTRY_BYTES * (KNOWN + STRANGERS)
NAME_CHARS = 32  # so that an entry always has room: four bytes each, and as much again when escaped


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """One request. `at` is seconds since the epoch."""

    at: float
    status: int
    method: str | None
    route: str | None
    outcome: str
    key_name: str | None
    request_id: str
    duration_ms: int


class Ring(NamedTuple):
    """Places within a slot."""

    start: int
    size: int


RINGS = {True: Ring(0, KNOWN), False: Ring(ENTRY_BYTES * KNOWN, STRANGERS)}
ENTRIES = msgspec.json.Decoder(Failure)


class RecentErrors:
    """A sink of requests; make it before the fork. What is never written takes no memory."""

    def __init__(self, instance: Instance) -> None:
        self.slot = 0
        self._instance = instance
        self._memory = mmap.mmap(-1, SLOT_BYTES * SLOTS)
        self._written = {True: 0, False: 0}

    def write(self, record: RequestRecord) -> None:
        """Keep a request that failed. A client that left is no failure."""
        if record.outcome == COMPLETE and record.status < 400:
            return
        if record.outcome == GONE or record.throttled:
            return
        is_known = record.key_name is not None or record.status >= 500
        ring = RINGS[is_known]
        place = self._written[is_known] % ring.size
        self._written[is_known] += 1
        start = SLOT_BYTES * self.slot + ring.start + ENTRY_BYTES * place
        content = msgspec.json.encode(failure_of(record))[: ENTRY_BYTES - 1]
        # Behind it a zero, which JSON never has: what stood there before is longer or shorter.
        self._memory[start : start + len(content) + 1] = content + b"\0"

    def latest(self) -> list[Failure]:
        """Those of all workers, the newest first."""
        known = self._read(RINGS[True])[:SHOWN]
        strangers = self._read(RINGS[False])[:SHOWN_STRANGERS]
        return sorted(known + strangers, key=lambda failure: -failure.at)[:SHOWN]

    def _read(self, ring: Ring) -> list[Failure]:
        found = []
        for slot in range(self._instance.slots_used):
            begin = SLOT_BYTES * slot + ring.start
            for start in range(begin, begin + ENTRY_BYTES * ring.size, ENTRY_BYTES):
                content = self._memory[start : start + ENTRY_BYTES].partition(b"\0")[0]
                if content:
                    found += _decode(content)
        return sorted(found, key=lambda failure: -failure.at)


def failure_of(record: RequestRecord) -> Failure:
    """What is kept of a request that ended just now."""
    name = clean_known(record.key_name)
    if name is not None and len(name) > NAME_CHARS:
        name = name[: NAME_CHARS - 1] + "…"
    duration = round(1000 * (time.monotonic() - record.started))
    known = (record.status, record.method and record.method[:8], record.route, record.outcome)
    return Failure(time.time(), *known, name, record.request_id, duration)


def _decode(content: bytes) -> list[Failure]:
    """None of it where its worker is just writing it."""
    try:
        return [ENTRIES.decode(content)]
    except msgspec.DecodeError:
        return []
