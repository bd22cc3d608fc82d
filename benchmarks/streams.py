"""Streamed answers that last: events at a real pace, and as fast as the subject takes them."""

from benchmarks.answers import ENDLESS, Wish
from benchmarks.bodies import chat
from benchmarks.figures import in_milliseconds
from benchmarks.rig import Reading
from benchmarks.stand import Sample, Stand

EVENTS_PER_SECOND = 1600  # of all paced streams together
BEGIN_SECONDS = 4.0  # for all streams to begin; who takes longer is overloaded
SETTLE_SECONDS = 0.1
LAST_SECONDS = 3.0
FAST_STREAMS = 32
FIRST_TRY, FEWEST, MOST = 50, 40, 20_000  # events of one stream at full speed
TRIAL_SECONDS = 0.2


def paced(stand: Stand, streams: int) -> Sample:
    """So many streams with 1,600 events a second in all; counted while all of them run.

    `rate` below 1,600 tells that the subject cannot keep up; then the delay only tells for how long.
    """
    interval = streams / EVENTS_PER_SECOND
    request = stand.fit(chat(Wish(ENDLESS, interval)))
    window = stand.window()
    with stand.crowd() as crowd:
        connections = [crowd.ask(request) for _ in range(streams)]
        if not crowd.run(BEGIN_SECONDS, lambda: all(each.has_begun for each in connections)):
            stand.errors["not begun"] += sum(not each.has_begun for each in connections)
        crowd.run(max(SETTLE_SECONDS, interval))
        window.start(crowd)
        crowd.run(stand.seconds)
        reading = window.stop()
        stand.upstream.ask("/__finish")
        has_ended = crowd.run(LAST_SECONDS, lambda: crowd.waiting == 0)
    sample = reading.per_unit(reading.tally.events)
    if not has_ended and sample["rate"] > 0.95 * EVENTS_PER_SECOND:
        stand.errors["no end"] += 1
    return {**sample, **in_milliseconds("delay", reading.tally.ages)}


def full_speed(stand: Stand, *, writes: bool) -> Sample:
    """32 streams whose upstream is always ahead, from the first request to the last end.

    How long they are is found out by shorter ones: a slow subject gets fewer events in the same time.
    """
    name = f"full speed {writes}"
    if name not in stand.rates:
        first = _rate(_run(stand, FIRST_TRY, writes))
        stand.rates[name] = _rate(_run(stand, _length(first, TRIAL_SECONDS), writes))
    reading = _run(stand, _length(stand.rates[name], stand.seconds), writes)
    stand.rates[name] = _rate(reading)
    return reading.per_unit(reading.tally.events)


def _length(rate: float, seconds: float) -> int:
    """How many events each stream has, for all of them to take so long."""
    return int(min(MOST, max(FEWEST, rate * seconds / FAST_STREAMS)))


def _rate(reading: Reading) -> float:
    return reading.tally.events / reading.seconds


def _run(stand: Stand, events: int, writes: bool) -> Reading:
    request = stand.fit(chat(Wish(events, writes=int(writes))))
    window = stand.window()
    with stand.crowd() as crowd:
        window.start(crowd)
        for _ in range(FAST_STREAMS):
            crowd.ask(request)
        if not crowd.run(20 * stand.seconds, lambda: crowd.waiting == 0):
            stand.errors["no end"] += crowd.waiting
        return window.stop()
