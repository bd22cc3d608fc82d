"""Sending spans to a collector over OTLP/HTTP, so that nothing but spans can be lost by it."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import gevent
import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from app.logs import clean

EXPORT_SECONDS = 15.0  # for one batch: the library's own limit does not see an answer that drips
MAX_ANSWER_BYTES = 64 * 1024
TELL_SECONDS = 60.0
Result = TypeVar("Result")
COMPLAINTS = {  # the library's loggers that tell what goes wrong, and from which level on
    "opentelemetry.exporter.otlp.proto.http.trace_exporter": logging.ERROR,
    "opentelemetry.sdk._shared_internal": logging.WARNING,
}


class PatientExporter(SpanExporter):
    """Sends a batch, or gives it up in time. The standard variables say where to, and how."""

    def __init__(self) -> None:
        self._exporter = OTLPSpanExporter(session=careful_session())

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans; blocks the greenlet that sends, and no other."""
        return within(EXPORT_SECONDS, lambda: self._exporter.export(spans), SpanExportResult.FAILURE)

    def shutdown(self) -> None:
        """Close the connection; a batch that is tried again is given up."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def within(seconds: float, step: Callable[[], Result], otherwise: Result) -> Result:
    """What the step gives, or something else where it takes longer than so many seconds.

    What stops it is no Exception: the library would take such for the network's.
    """
    limit = gevent.Timeout.start_new(seconds)
    try:
        return step()
    except gevent.Timeout as expired:
        if expired is not limit:
            raise
        return otherwise
    finally:
        limit.close()


def careful_session() -> requests.Session:
    """A session that reads only so much of an answer, of which nothing is needed but the status."""
    session = requests.Session()
    session.stream = True
    session.hooks["response"].append(drop_body)
    return session


def drop_body(response: requests.Response, **_: object) -> None:
    """Read a small body to its end, so that the connection can be used again; of another, close it."""
    response.raw.read(MAX_ANSWER_BYTES)
    response.close()


def spare_the_log() -> None:
    """Let the library speak once a minute of what goes wrong."""
    for name, level in COMPLAINTS.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).addFilter(Sparing())


class Sparing(logging.Filter):
    """Lets a logger speak once a minute, and keeps what a stranger's words could do from the log."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at = -TELL_SECONDS

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        now = time.monotonic()
        if now - self._told_at < TELL_SECONDS:
            return False
        self._told_at = now
        record.msg, record.args, record.exc_info = clean(record.getMessage()), (), None
        return True
