"""What was asked and answered, counted up at each request's end for metrics, usage and the status page.

Nothing is done for an event of a stream; for a request a few numbers in shared memory grow.
"""

import time
from bisect import bisect_left

from app.counts import HISTOGRAMS, PLACES, USAGE_COLUMNS
from app.instance import Instance
from app.logs import RequestRecord
from app.relay import COMPLETE, GONE
from app.routes import RELAYED
from app.shared_table import OTHER

MAX_MODELS = 64  # of one worker: an upstream that answers to any name must not fill the table
(REQUESTS, ERRORS, ABORTS, PARTIAL, PROMPT, CACHED, COMPLETION, GPU_SECONDS, BYTES_IN, BYTES_OUT) = range(
    len(USAGE_COLUMNS)
)
INFERENCE = frozenset(route.path for route in RELAYED)


class Ledger:
    """Counts the requests of this worker, in its slot of the instance's tables."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._models: set[str] = set()
        self.use_slot(0)

    def use_slot(self, number: int) -> None:
        """Count in this slot from now on: gunicorn's hook gives each worker its own."""
        self._answers = self._instance.answers.slot(number)
        self._latencies = self._instance.latencies.slot(number)
        self._usage = self._instance.usage.slot(number)

    def write(self, record: RequestRecord) -> None:
        """Count one request, which has ended now."""
        route = record.route or OTHER
        answers = self._answers
        answers.cells[answers.start((route, str(record.status), record.outcome))] += 1
        if record.key_name is not None and route in INFERENCE:
            self._count_usage(record, record.key_name)
        if record.sent_at is not None:
            self._measure(record, route, record.sent_at)

    def _count_usage(self, record: RequestRecord, key_name: str) -> None:
        rows = self._usage
        cells, at = rows.cells, rows.start((key_name, self._model(record)))
        cells[at + REQUESTS] += 1
        if record.outcome == GONE:
            cells[at + ABORTS] += 1
        elif record.outcome != COMPLETE or record.status >= 400:
            cells[at + ERRORS] += 1
        usage = record.usage
        if usage is not None:
            cells[at + PARTIAL] += usage.is_partial
            cells[at + PROMPT] += usage.prompt_tokens
            cells[at + CACHED] += usage.cached_tokens
            cells[at + COMPLETION] += usage.completion_tokens
        cells[at + GPU_SECONDS] += record.gpu_seconds
        cells[at + BYTES_IN] += record.bytes_in
        cells[at + BYTES_OUT] += record.bytes_out

    def _model(self, record: RequestRecord) -> str:
        """Only what the upstream knows: a client may name anything."""
        model = record.model
        if not model or record.status >= 400:
            return ""
        if model not in self._models:
            if len(self._models) >= MAX_MODELS:
                return OTHER
            self._models.add(model)
        return model

    def _measure(self, record: RequestRecord, route: str, sent_at: float) -> None:
        rows, now = self._latencies, time.monotonic()
        cells, row = rows.cells, rows.start((route, "stream" if record.is_stream else "whole"))
        _observe(cells, row, "gateway_overhead", sent_at - record.started - record.waited)
        _observe(cells, row, "duration", now - record.started)
        first = record.first_byte_at
        if first is None:
            return
        _observe(cells, row, "first_byte", first - record.started)
        usage = record.usage
        if record.is_stream and usage is not None and usage.completion_tokens > 1:
            _observe(cells, row, "inter_token", (now - first) / (usage.completion_tokens - 1))


def _observe(cells: "memoryview[float]", row: int, name: str, seconds: float) -> None:
    at, bounds = row + PLACES[name], HISTOGRAMS[name]
    cells[at + bisect_left(bounds, seconds)] += 1
    cells[at + len(bounds) + 1] += seconds
