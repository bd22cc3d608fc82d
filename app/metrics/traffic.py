"""Families about requests: how many, how they ended, how long they took."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from app.broken import IdleTimeout, UpstreamLost
from app.counts import HISTOGRAMS, histogram
from app.errors import UpstreamError, UpstreamTimeout
from app.instance import Instance
from app.metrics import PREFIX
from app.relay import GONE
from app.unavailable import UpstreamUnavailable

UPSTREAM_REFUSED = "upstream_refused"  # an error of the upstream's own, passed on
UPSTREAM_ERRORS = (
    *(UpstreamUnavailable.code, UpstreamTimeout.code, UpstreamError.code),
    *(UpstreamLost.code, IdleTimeout.code, UPSTREAM_REFUSED),
)
TIMES = {
    "first_byte": ("time_to_first_byte_seconds", "From a request's head to the first byte of its answer"),
    "inter_token": (
        "inter_token_seconds",
        "Mean time between the tokens of one stream; one observation a stream, since events are not timed",
    ),
    "duration": ("request_duration_seconds", "From a request's head to the end of its answer"),
    "gateway_overhead": (
        "overhead_seconds",
        "What the gateway itself took before a request was sent on; without the wait for body and model",
    ),
}


def request_families(instance: Instance) -> Iterator[Metric]:
    """Requests by route, status and outcome, and what follows from that."""
    sums = instance.answers.sums(instance.slots_used)
    requests = CounterMetricFamily(
        PREFIX + "requests",
        "Requests that have ended, by what was answered; other is what no route or no room was for",
        labels=("route", "code", "outcome"),
    )
    aborts: Counter[str] = Counter()
    errors = Counter(dict.fromkeys(UPSTREAM_ERRORS, 0))
    for labels, (count,) in sums.items():
        requests.add_metric(labels, count)
        route, code, outcome = labels
        aborts[route] += int(count) if outcome == GONE else 0
        errors[outcome] += int(count) if is_upstream_error(route, code, outcome) else 0
    yield requests
    yield _counted(
        "client_aborts", "Requests whose client left before the end of its answer", "route", aborts
    )
    yield _counted(
        "upstream_errors",
        "Requests that failed at the upstream: no connection, no answer in time, an unusable, lost or silent "
        "one, or a status of 500 and above",
        "kind",
        Counter({kind: errors[kind] for kind in UPSTREAM_ERRORS}),
    )


def is_upstream_error(route: str, code: str, outcome: str) -> bool:
    """Whether the upstream is to blame. It may refuse a request, and need not have metrics."""
    was_refused = outcome == UPSTREAM_REFUSED and not code.startswith("5")
    return outcome in UPSTREAM_ERRORS and not was_refused and not route.startswith("/metrics")


def _counted(name: str, text: str, label: str, counts: Counter[str]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, text, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family


def latency_families(instance: Instance) -> Iterator[Metric]:
    """The histograms, by route and by kind of answer."""
    sums = instance.latencies.sums(instance.slots_used)
    for name, (metric, text) in TIMES.items():
        family = HistogramMetricFamily(PREFIX + metric, text, labels=("route", "answer"))
        for labels, row in sums.items():
            counts, seconds = histogram(row, name)
            if any(counts):
                family.add_metric(labels, _cumulated(name, counts), seconds)
        yield family


def _cumulated(name: str, counts: Iterable[float]) -> list[tuple[str, float]]:
    bounds = [*map(str, HISTOGRAMS[name]), "+Inf"]
    return list(zip(bounds, accumulate(counts), strict=True))
