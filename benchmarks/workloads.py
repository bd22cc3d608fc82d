"""The workloads by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.arrivals import aborts, arrivals
from benchmarks.closed_loops import alone, long_prompt, plain_chat, wrong_keys
from benchmarks.stand import Sample, Stand
from benchmarks.streams import full_speed, paced


@dataclass(frozen=True)
class Workload:
    """What is done, what it is counted in, and its title in tables."""

    name: str
    unit: str
    title: str
    run: Callable[[Stand], Sample]
    is_streamed: bool = True  # not for subjects that cannot stream
    also: str = ""  # a second name for the same figures
    repeats: int = 1  # in each round: what is short and mostly waits differs most from one time to the next


def _growth(streams: int, repeats: int = 1) -> Workload:
    title = f"{streams} streams, 1,600 events/s in all"
    return Workload(f"growth-{streams}", "event", title, partial(paced, streams=streams), repeats=repeats)


WORKLOADS = (
    Workload("chat", "request", "Chat, not streamed, 16 clients", plain_chat, is_streamed=False),
    Workload("full-speed", "event", "32 streams at full speed", partial(full_speed, writes=False)),
    Workload(
        "full-speed-writes",
        "event",
        "32 streams at full speed, one write an event",
        partial(full_speed, writes=True),
    ),
    Workload(
        "paced-32",
        "event",
        "32 streams, 50 events/s each",
        partial(paced, streams=32),
        also="growth-32",
        repeats=3,
    ),
    _growth(8, repeats=2),
    _growth(128),
    _growth(512, repeats=2),
    Workload("arrivals", "request", "32 arrivals at once, new connections", partial(arrivals, kept=False)),
    Workload(
        "arrivals-kept", "request", "32 arrivals at once, kept connections", partial(arrivals, kept=True)
    ),
    Workload("alone", "request", "One client alone", alone, is_streamed=False),
    Workload("long-prompt", "request", "Prompts of 30 kB with tools", long_prompt),
    Workload("wrong-keys", "request", "Wrong keys, 16 clients", wrong_keys),
    Workload("aborts", "request", "Clients that leave in mid-stream", aborts),
)
