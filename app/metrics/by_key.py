"""Families about who used what: by key name and model, for so many of them; the rest is one sum."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from app.counts import USAGE_COLUMNS
from app.instance import MAX_SERIES, Instance
from app.metrics import PREFIX
from app.shared_table import OTHER, Labels

LABELS = ("key", "model")
NOBODY = (OTHER, OTHER)
FAMILIES = {
    "requests": ("key_requests", "Requests with a valid key, on the routes that are relayed"),
    "errors": ("key_errors", "Of those, the ones that failed"),
    "aborts": ("key_aborts", "Of those, the ones whose client left"),
    "partial_answers": (
        "partial_answers",
        "Answers that broke off; their tokens were counted by what was streamed",
    ),
    "prompt_tokens": ("prompt_tokens", "Tokens that were sent to the model, cached ones included"),
    "cached_tokens": ("cached_prompt_tokens", "Of those, the ones that the model had in its prefix cache"),
    "completion_tokens": ("completion_tokens", "Tokens that the model made"),
    "gpu_seconds": (
        "gpu_seconds",
        "Time of the instance, each moment shared alike by the requests that were at the upstream",
    ),
    "bytes_in": ("request_bytes", "Bytes of request bodies"),
    "bytes_out": ("response_bytes", "Bytes of answers' bodies"),
    "partial_prompt_tokens": ("partial_prompt_tokens", "Of the prompt tokens, those of partial answers"),
    "partial_cached_tokens": (
        "partial_cached_prompt_tokens",
        "Of the cached tokens, those of partial answers",
    ),
    "partial_completion_tokens": (
        "partial_completion_tokens",
        "Of the completion tokens, those of partial answers",
    ),
}


def usage_families(instance: Instance) -> Iterator[Metric]:
    """One family for each column of usage."""
    sums = bounded(instance, instance.usage.sums(instance.slots_used))
    for column, name in enumerate(USAGE_COLUMNS):
        metric, text = FAMILIES[name]
        family = CounterMetricFamily(PREFIX + metric, text, labels=LABELS)
        for labels, values in sums.items():
            family.add_metric(labels, values[column])
        yield family


def bounded(instance: Instance, sums: dict[Labels, list[float]]) -> dict[Labels, list[float]]:
    """The rows of those that are shown one by one, and one row for all others.

    Whoever came first is shown for as long as the instance lives: a row that moved between its own series and
    the rest would make a counter go back.
    """
    shown = _shown(instance, sums)
    found = {labels: values for labels, values in sums.items() if labels in shown and labels != NOBODY}
    rest = [values for labels, values in sums.items() if labels not in found]
    if rest:
        found[NOBODY] = [sum(column) for column in zip(*rest, strict=True)]
    return found


def _shown(instance: Instance, wanted: Iterable[Labels]) -> set[Labels]:
    rows = instance.series.slot(0)
    known = set(rows.refresh())
    new = [labels for labels in wanted if labels not in known and labels != NOBODY]
    if not new or len(known) >= MAX_SERIES:
        return known
    with instance.lock(instance.series_lock_file):
        for labels in new:
            if len(rows.refresh()) < MAX_SERIES:
                rows.start(labels)
    return set(rows.refresh())
