"""The workloads by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.answers import Wish
from benchmarks.bodies import chat
from benchmarks.closed_loops import closed_loop
from benchmarks.stand import Sample, Stand
from benchmarks.streams import full_speed, paced

CHAT_CLIENTS, CHAT_BYTES = 16, 1000


@dataclass(frozen=True)
class Workload:
    """What is done, what it is counted in, and its title in tables."""

    name: str
    unit: str
    title: str
    run: Callable[[Stand], Sample]
    is_streamed: bool = True  # not for subjects that cannot stream


def run_chat(stand: Stand) -> Sample:
    """Non-streamed answers on kept connections."""
    return closed_loop(stand, chat(Wish(), size=CHAT_BYTES), CHAT_CLIENTS)


WORKLOADS = (
    Workload("chat", "request", "Chat, not streamed, 16 kept connections", run_chat, is_streamed=False),
    Workload("full-speed", "event", "32 streams at full speed", partial(full_speed, writes=False)),
    Workload(
        "full-speed-writes",
        "event",
        "32 streams at full speed, one write an event",
        partial(full_speed, writes=True),
    ),
    Workload("paced-32", "event", "32 streams, 50 events/s each", partial(paced, streams=32)),
)
