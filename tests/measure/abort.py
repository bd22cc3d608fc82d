"""How soon a client that leaves frees the upstream, in each phase of an answer."""

from pathlib import Path
from typing import Any

from tests.gateway import wait_until
from tests.measure.crowd import Crowd, Stream
from tests.measure.figures import Row, milliseconds, percentile
from tests.measure.subjects import start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway", "nginx", "haproxy", "direct")
BAR_SECONDS = 1.0
ENDLESS = 1_000_000_000
# What is asked for, and how many do so at the same time: a stream at full speed fills a processor.
MODES: dict[str, tuple[dict[str, Any], int]] = {
    "queued, before the head": ({"fake": {"before_head": 600}}, 50),
    "not streamed": ({"stream": False, "fake": {"before_head": 600}}, 50),
    "prefill, after the head": ({"fake": {"before_first_event": 600}}, 50),
    "mid-stream": ({"measure": {"events": ENDLESS, "interval": 0.05}}, 50),
    "busy stream at full speed": ({"measure": {"events": ENDLESS}}, 1),
}


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """From the client's close to the upstream's sight of it."""
    tries = 20 if small else 200
    rows = []
    with Upstream(folder) as upstream, start(subject, folder, upstream) as running:
        for mode in MODES:
            rows.append(judge(mode, delays_of(mode, upstream, running.port, tries), tries))
    return rows


def delays_of(mode: str, upstream: Upstream, port: int, tries: int) -> list[float]:
    """The delays of as many tries in batches, or of those before the first that was not seen."""
    fields, together = MODES[mode]
    delays: list[float] = []
    for batch in range(0, tries, together):
        size = min(together, tries - batch)
        delays += leave_together(upstream, port, fields, f"{mode}-{batch}", size)
        if len(delays) < batch + size:
            break  # it is known by now, and each that is not seen costs 10 s
    return delays


def leave_together(
    upstream: Upstream, port: int, fields: dict[str, Any], name: str, size: int
) -> list[float]:
    """Open so many, close one after the other; the delays of those that the upstream saw leave."""
    before = upstream.seen()["posts"]
    users = [f"{name}-{number}" for number in range(size)]
    with Crowd() as crowd:
        streams = [crowd.add(Stream(port).ask(user=user, **fields)) for user in users]
        wait_until(lambda: upstream.seen()["posts"] >= before + size, 20)
        if "measure" in fields:
            assert crowd.read_until(lambda: all(len(stream.data) > 1000 for stream in streams), 20)
        left_at = {}
        for user, stream in zip(users, streams, strict=True):
            crowd.read_for(0.005)
            left_at[user] = crowd.leave(stream)
    return [seen - left_at[user] for user, seen in wait_for_leavers(upstream, users).items()]


def wait_for_leavers(upstream: Upstream, users: list[str]) -> dict[str, float]:
    """When the upstream saw each of them leave; those it did not see within 10 s are missing."""
    left: dict[str, float] = {}

    def have_all_left() -> bool:
        seen = upstream.seen()["left"]
        left.update({user: seen[user] for user in users if seen.get(user)})
        return len(left) == len(users)

    try:
        wait_until(have_all_left, 10)
    except AssertionError:
        return left
    return left


def judge(mode: str, delays: list[float], tries: int) -> Row:
    """The row of a mode."""
    promise, bar = f"abort: {mode}", f"p99 < {1000 * BAR_SECONDS:.0f} ms"
    if len(delays) < tries:
        return Row(promise, f"some not seen within 10 s, after {len(delays)} that were", bar, False)
    return Row(promise, milliseconds(delays), bar, percentile(delays, 99) < BAR_SECONDS)
