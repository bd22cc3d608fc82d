"""What was asked and answered, counted up at each request's end for metrics, usage and the status page.

Nothing is done for an event of a stream; for a request a few numbers in shared memory grow.
"""

import time
from bisect import bisect_left

from app.counts import HISTOGRAMS, PLACES, USAGE_COLUMNS
from app.instance import Instance
from app.logs import RequestRecord
from app.relay import COMPLETE, GONE
from app.routes import PLAYGROUND, RELAYED
from app.shared_table import OTHER
from app.usage import Usage

MAX_MODELS = 64  # of one worker: an upstream that answers to any name must not fill the table
REQUESTS, ERRORS, ABORTS, PARTIAL, PROMPT = map(
    USAGE_COLUMNS.index, ("requests", "errors", "aborts", "partial_answers", "prompt_tokens")
)
GPU_SECONDS, BYTES_IN, BYTES_OUT, PARTIAL_PROMPT = map(
    USAGE_COLUMNS.index, ("gpu_seconds", "bytes_in", "bytes_out", "partial_prompt_tokens")
)
INFERENCE = frozenset(route.path for route in (*RELAYED, PLAYGROUND))


Place = tuple[int, int, tuple[float, ...]]  # of a histogram in a row: its buckets, its sum, their bounds


def _place(name: str) -> Place:
    bounds = HISTOGRAMS[name]
    return PLACES[name], PLACES[name] + len(bounds) + 1, bounds


OVERHEAD, DURATION = _place("gateway_overhead"), _place("duration")
FIRST_BYTE, INTER_TOKEN = _place("first_byte"), _place("inter_token")


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
        self._answer_cells: dict[tuple[str, int, str], int] = {}

    def write(self, record: RequestRecord) -> None:
        """Count one request, which has ended now."""
        route = record.route or OTHER
        answer = (route, record.status, record.outcome)
        cell = self._answer_cells.get(answer)
        if cell is None:
            cell = self._answers.start((route, str(record.status), record.outcome))
            self._answer_cells[answer] = cell
        self._answers.cells[cell] += 1
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
            _add_tokens(cells, at + PROMPT, usage)
            if usage.is_partial:
                cells[at + PARTIAL] += 1
                _add_tokens(cells, at + PARTIAL_PROMPT, usage)
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
        _observe(cells, row, OVERHEAD, sent_at - record.started - record.waited)
        _observe(cells, row, DURATION, now - record.started)
        first = record.first_byte_at
        if first is None:
            return
        _observe(cells, row, FIRST_BYTE, first - record.started)
        usage = record.usage
        if record.is_stream and usage is not None and usage.completion_tokens > 1:
            _observe(cells, row, INTER_TOKEN, (now - first) / (usage.completion_tokens - 1))


def _add_tokens(cells: "memoryview[float]", at: int, usage: Usage) -> None:
    """To three columns that stand together: prompt, cached, completion."""
    cells[at] += usage.prompt_tokens
    cells[at + 1] += usage.cached_tokens
    cells[at + 2] += usage.completion_tokens


def _observe(cells: "memoryview[float]", row: int, place: Place, seconds: float) -> None:
    buckets, total, bounds = place
    cells[row + buckets + bisect_left(bounds, seconds)] += 1
    cells[row + total] += seconds
