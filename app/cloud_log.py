"""What Google's Cloud Logging reads of a request's line beyond its severity: labels, and the trace.

Its special fields: https://cloud.google.com/logging/docs/structured-logging. Elsewhere they are fields as
any other.
"""

from typing import Any

from app.settings import Settings
from app.trace_context import TraceContext

LABELS = "logging.googleapis.com/labels"
TRACE = "logging.googleapis.com/trace"
SPAN_ID = "logging.googleapis.com/spanId"
SAMPLED = "logging.googleapis.com/trace_sampled"
IS_SAMPLED = 0b1


class CloudLog:
    """The labels of this instance, and the name of its project for traces."""

    def __init__(self, settings: Settings) -> None:
        labels = parse_labels(settings.log_labels)
        of_run = {"service": settings.k_service, "revision": settings.k_revision}
        labels |= {name: value for name, value in of_run.items() if value}
        self._labels = {LABELS: labels} if labels else {}
        self._project = settings.gcp_project

    def fields(self, trace: TraceContext | None) -> dict[str, Any]:
        """What to add to the line of a request with this trace; nothing where nothing is known."""
        if trace is None or self._project is None:
            return self._labels
        return {
            **self._labels,
            TRACE: f"projects/{self._project}/traces/{trace.trace_id}",
            SPAN_ID: trace.span_id,
            SAMPLED: bool(trace.flags & IS_SAMPLED),
        }


def parse_labels(text: str) -> dict[str, str]:
    """The labels of `name=value,name=value`, which Settings has checked; the last of a name holds."""
    return dict(pair.split("=", 1) for pair in text.split(",") if pair)
