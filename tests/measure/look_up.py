"""What it costs to find a key among 1 and among 10,000, and what the time of it tells."""

import gc
import json
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from app.keys.key_file import parse_key_file
from app.keys.ring import Ring
from app.keys.shared import SETS, KeySet
from tests.measure.figures import Row, at_most

SUBJECTS = ("gateway",)
SIZES = (1, 100, 10_000)
CALLS, ROUNDS = 20_000, 9
TRIES = 100_000  # of each class of wrong keys
KINDS = 10_000  # of wrong keys in each class: one alone may meet a fuller place of the table
T_BAR = 4.5  # of Welch's t, as in tests of cryptographic code for leaks through time


def run(_subject: str, _folder: Path, *, small: bool = False) -> list[Row]:
    """Look-ups in this very process: no network."""
    size = 10 if small else 1
    rings = {count: Ring.of(parse_key_file(file_of(count)).records) for count in SIZES}
    costs = {count: cost_of(partial(ring.find, key_of(0)), CALLS // size) for count, ring in rings.items()}
    largest = rings[SIZES[-1]]
    endings = [f"{random.randrange(16**8):08x}".encode() for _ in range(KINDS)]
    similar = [key_of(number)[:-8] + ending for number, ending in enumerate(endings)]
    strange = [
        b"zz-" + bytes(reversed(key_of(number)[3:-8])) + ending for number, ending in enumerate(endings)
    ]
    rows = [Row(f"look-up among {count:,}", f"{1e6 * cost:.2f} µs") for count, cost in costs.items()]
    return [
        *rows,
        at_most("look-up among 10,000", 1e6 * costs[SIZES[-1]], 5, "µs"),
        at_most("the same over one key", costs[SIZES[-1]] / costs[1], 1.1, "x"),
        at_most(
            "|t| of wrong keys that begin as a known one does",
            leak(largest, similar, strange, TRIES // size),
            T_BAR,
            "",
        ),
        *swap_of(SIZES[-1]),
    ]


def key_of(number: int) -> bytes:
    """The key of one name."""
    return f"sk-{number:040}".encode()


def file_of(count: int) -> bytes:
    """A key file of so many names."""
    return json.dumps({f"client-{number}": key_of(number).decode() for number in range(count)}).encode()


def cost_of(call: Callable[[], object], calls: int) -> float:
    """CPU seconds of one call, in the best of several rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(calls):
            call()
        rounds.append((time.process_time() - began) / calls)
    return min(rounds)


def leak(ring: Ring, one: list[bytes], other: list[bytes], tries: int) -> float:
    """Welch's t between the times of two kinds of wrong keys, asked for in random order; outliers cut off."""
    times: tuple[list[int], list[int]] = ([], [])
    order = [(nth, random.choice(keys)) for nth, keys in enumerate((one, other)) for _ in range(tries)]
    random.shuffle(order)
    gc.disable()
    for nth, key in order:
        began = time.perf_counter_ns()
        ring.find(key)
        times[nth].append(time.perf_counter_ns() - began)
    gc.enable()
    most = statistics.quantiles([*times[0], *times[1]], n=20)[-1]
    first, second = ([value for value in values if value <= most] for values in times)
    spread = statistics.variance(first) / len(first) + statistics.variance(second) / len(second)
    return abs(statistics.fmean(first) - statistics.fmean(second)) / spread**0.5


def swap_of(count: int) -> list[Row]:
    """How long a worker's event loop stands still while it takes over a new set."""
    records = parse_key_file(file_of(count)).records
    content = msgspec.json.encode(KeySet(records, list(range(count))))
    taken = cost_of(lambda: Ring.of(SETS.decode(content).records), 3)
    read = cost_of(lambda: parse_key_file(file_of(count)), 1)
    return [
        Row(f"a file of {count:,} keys is read and checked (by one worker)", f"{1000 * read:.0f} ms"),
        at_most(f"a worker takes over {count:,} new keys", 1000 * taken, 100, "ms"),
    ]
