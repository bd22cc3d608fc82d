"""Families about the instance's own condition: readiness, load, keys, the GPU's time, its log."""

import time
from collections import Counter
from collections.abc import Iterator
from heapq import nsmallest

from flask import Flask
from gevent import sleep
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from app.accounts.keeper import UsageKeeper
from app.gpu_time import GpuTime
from app.health import PHASES_TOLD, Health
from app.instance import Instance
from app.keys.records import KeyRecord
from app.keys.shared import SharedKeys
from app.metrics import PREFIX
from app.settings import Settings
from app.startup import READY
from app.version import VERSION
from app.watch import UpstreamWatch

MAX_EXPIRING = 100  # keys whose end is told one by one, those that end first
RECORDS_AT_ONCE = 2000
STATES = ("active", "disabled", "expired", "not yet valid")


def gauge(name: str, text: str, value: float | None) -> Metric:
    """A gauge without labels; without a sample where the value is not known."""
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def gauges(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    """A gauge with one label."""
    family = GaugeMetricFamily(PREFIX + name, text, labels=(label,))
    for each, value in values.items():
        family.add_metric((each,), value)
    return family


def counter(name: str, text: str, value: float) -> Metric:
    """A counter without labels."""
    return CounterMetricFamily(PREFIX + name, text, value=value)


def readiness_families(health: Health, watch: UpstreamWatch, instance: Instance) -> Iterator[Metric]:
    """Whether requests are served, and what keeps them from being."""
    phase = health.phase()
    since = instance.get("draining_since")
    yield InfoMetricFamily(PREFIX + "build", "Which gateway this is", value={"version": VERSION})
    yield gauge("ready", "1 when requests are served", float(phase == READY))
    yield gauges(
        "phase",
        "1 for the phase that it is in",
        "phase",
        {each: float(each == phase) for each in PHASES_TOLD},
    )
    yield gauge("upstream_up", "1 when the upstream answered its last probe", float(watch.is_up()))
    yield gauge(
        "draining_seconds",
        "For how long this instance has been shutting down; 0 when it is not",
        time.monotonic() - since if since else 0.0,
    )
    yield gauges(
        "startup_phase_seconds", "How long each phase of the start took", "phase", health.startup_seconds()
    )


def load_families(instance: Instance, settings: Settings) -> Iterator[Metric]:
    """What it carries at this moment, and how much it may carry."""
    slots = instance.slots_used
    yield gauge("requests_in_flight", "Relayed requests that have not ended", sum(instance.requests[:slots]))
    yield gauge("requests_in_flight_limit", "How many there may be", float(settings.max_concurrent_requests))
    yield gauge(
        "requests_held", "Requests that wait for the model's first readiness", sum(instance.held[:slots])
    )
    yield gauge(
        "requests_at_upstream", "Requests that the upstream works at", sum(instance.at_upstream[:slots])
    )
    yield gauge("buffered_bytes", "Request bodies that wait in memory", sum(instance.body_bytes[:slots]))
    yield gauge("buffered_bytes_limit", "How many there may be", float(settings.max_buffered_bytes))
    yield counter(
        "unlogged_requests", "Requests of strangers beyond the log's budget", sum(instance.unlogged[:slots])
    )
    yield counter("lost_log_lines", "Lines of the log that nobody took", sum(instance.lost_lines[:slots]))


def gpu_families(gpu_time: GpuTime, health: Health) -> Iterator[Metric]:
    """What the instance's time was spent on; what each key had of it is told by key."""
    busy = gpu_time.busy_seconds()
    yield counter("gpu_busy_seconds", "Time with any request at the upstream", busy)
    yield counter("gpu_idle_seconds", "Time since the model was ready with none", gpu_time.idle_seconds())
    start = {phase: seconds for phase, seconds in health.startup_seconds().items() if phase != READY}
    yield gauge("gpu_startup_seconds", "Time from the launch until the model was ready", sum(start.values()))


def key_families(keys: SharedKeys, instance: Instance) -> Iterator[Metric]:
    """Which keys are in use, and how fresh they are."""
    version = keys.version
    records = list(keys.ring.by_digest.values())
    yield gauges("keys", "Keys by their state", "state", _count_states(records))
    yield gauge("keys_age_seconds", "Since the store last confirmed the keys that are in use", keys.age)
    yield gauge(
        "keys_version",
        "The version of the secret that is in use; a file has none",
        None if version is None else float(version),
    )
    yield gauge("keys_generation", "How often the keys have changed in this instance", float(keys.generation))
    yield gauge(
        "keys_last_reading_failed",
        "1 when the last reading of the store failed",
        float(keys.report.failure is not None),
    )
    yield gauge(
        "keys_failures_in_a_row",
        "Readings that have failed since the last that did not",
        instance.get("refresh_failures"),
    )
    yield expiries(records)


def _count_states(records: list[KeyRecord]) -> dict[str, float]:
    now, counts = time.time(), Counter(dict.fromkeys(STATES, 0))
    for some in _in_turns(records):
        counts.update(record.state(now) for record in some)
    return {state: float(count) for state, count in counts.items()}


def expiries(records: list[KeyRecord]) -> Metric:
    """When keys end, for those that are in use now."""
    family = GaugeMetricFamily(
        PREFIX + "key_expires_timestamp_seconds",
        f"When a key ends, for the {MAX_EXPIRING} that end first",
        labels=("key", "key_id"),
    )
    now = time.time()
    first: list[tuple[float, str, str]] = []
    told: dict[tuple[str, str], float] = {}
    for some in _in_turns(records):
        ending = [(r.expires, r.name, r.key_id) for r in some if r.expires is not None and r.is_active(now)]
        first = nsmallest(MAX_EXPIRING, [*first, *ending])
    for expires, name, key_id in reversed(first):
        told[name, key_id] = expires  # two keys may have one id: the one that ends first is told
    for labels, expires in told.items():
        family.add_metric(labels, expires)
    return family


def _in_turns(records: list[KeyRecord]) -> Iterator[list[KeyRecord]]:
    """A part of them after the other; in between, other greenlets run."""
    for begin in range(0, len(records), RECORDS_AT_ONCE):
        yield records[begin : begin + RECORDS_AT_ONCE]
        sleep(0)


def accounts_families(keeper: UsageKeeper) -> Iterator[Metric]:
    """Whether the database of usage is written."""
    since = keeper.state.failing_since
    yield gauge(
        "usage_failing_seconds",
        "For how long usage could not be written to its database; 0 when it is, or there is none",
        max(0.0, time.time() - since) if since else 0.0,
    )


def condition_families(app: Flask) -> Iterator[Metric]:
    """All of them, in turn."""
    found = app.extensions
    instance: Instance = found["instance"]
    yield from readiness_families(found["health"], found["watch"], instance)
    yield from load_families(instance, found["settings"])
    yield from gpu_families(found["gpu_time"], found["health"])
    yield from key_families(found["keys"], instance)
    yield from accounts_families(found["usage_keeper"])
