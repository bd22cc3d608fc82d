"""What a line of the log holds: what is known of a request at its end; and one format for all lines."""

import logging
import re
import time
import uuid
from functools import lru_cache
from typing import Any

import msgspec
from pythonjsonlogger.msgspec import MsgspecFormatter

from app.keys.records import LOOKS_LIKE_A_KEY
from app.trace_context import TraceContext
from app.usage import Usage

MAX_VALUE_CHARS = 200
# What moves a terminal's cursor, ends a line, turns the direction of text or is no character at all.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
SURROGATE = re.compile(r"[\ud800-\udfff]")
PARTED = re.compile(r"[\s'\"]|^$")  # what would read as no field, or as several
TEXT_FIELDS = (
    *("status", "method", "route", "key_name", "model", "outcome", "duration_ms"),
    *("phase", "seconds", "phases", "reason", "moved_to", "lost", "problems"),
    *("action", "result", "added_names", "removed_names", "changed_names", "by"),
    *("version", "keys_age_seconds", "warnings"),
    *("count", "statuses", "noisiest"),
)


class RequestRecord(msgspec.Struct):
    """What is known of one request at its end. Times are CLOCK_MONOTONIC seconds; sizes bytes."""

    started: float = msgspec.field(default_factory=time.monotonic)
    request_id: str = msgspec.field(default_factory=lambda: "req_" + uuid.uuid4().hex)
    client_request_id: str | None = None
    peer: str | None = None
    method: str | None = None
    route: str | None = None
    key_name: str | None = None
    key_id: str | None = None
    key_source: str | None = None
    model: str | None = None
    is_stream: bool = False
    status: int = 0
    outcome: str = "complete"
    throttled: str | None = None  # the address that has sent too many wrong keys
    waited: float = 0.0  # seconds for the request's body and for a model that was loading
    sent_at: float | None = None  # to the upstream
    gpu_seconds: float = 0.0  # its share of the instance's time
    bytes_in: int = 0
    bytes_out: int = 0
    first_byte_at: float | None = None
    usage: Usage | None = None
    is_audited: bool = False
    is_logged: bool = False
    trace: TraceContext | None = None  # this request's own span, or else the client's
    span: Any = None  # of OpenTelemetry, where that is on

    def fields(self) -> dict[str, Any]:
        """The record as log fields, cut and without control characters."""
        first_byte = self.first_byte_at
        usage, trace = self.usage, self.trace
        of_trace = {} if trace is None else {"trace_id": trace.trace_id, "span_id": trace.span_id}
        return {
            "request_id": self.request_id,
            "client_request_id": clean(self.client_request_id),
            "peer": clean(self.peer),
            "method": clean(self.method),
            "route": self.route,
            "key_name": clean_known(self.key_name),
            "key_id": clean_known(self.key_id),
            "key_source": self.key_source,
            "model": clean(self.model),
            "stream": self.is_stream,
            "status": self.status,
            "outcome": self.outcome,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "prompt_tokens": usage and usage.prompt_tokens,
            "completion_tokens": usage and usage.completion_tokens,
            "cached_tokens": usage and usage.cached_tokens,
            "usage_is_partial": usage and usage.is_partial,
            "gpu_seconds": round(self.gpu_seconds, 3),
            "first_byte_ms": first_byte and _milliseconds(first_byte - self.started),
            "duration_ms": _milliseconds(time.monotonic() - self.started),
            **of_trace,
        }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def clean(value: str | None) -> str | None:
    """A client's text made safe for a line of log: control characters out, length bounded, and no key.

    A key comes here when a client sends it in a header that is logged.
    """
    # Cut last: half a key looks like none.
    return None if value is None else LOOKS_LIKE_A_KEY.sub("?", CONTROL.sub("?", value))[:MAX_VALUE_CHARS]


clean_known = lru_cache(maxsize=256)(clean)  # for the few that come again and again and hold no client's text


def replace(unwanted: re.Pattern[str], value: Any) -> Any:
    """The value with a `?` for each unwanted character, also within lists."""
    if isinstance(value, str):
        return unwanted.sub("?", value)
    return [replace(unwanted, item) for item in value] if isinstance(value, list) else value


class JsonFormatter(MsgspecFormatter):
    """A line for programs: JSON, which lone surrogates cannot be written in."""

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """The fields as they are written."""
        try:
            return super().jsonify_log_record(log_data)
        except UnicodeEncodeError:
            clean_data = {name: replace(SURROGATE, value) for name, value in log_data.items()}
            return super().jsonify_log_record(clean_data)


class TextFormatter(logging.Formatter):
    """A line for people: the time, the message, and the fields that one looks for."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback follows where there is one."""
        line = super().format(record)
        values = [replace(CONTROL, getattr(record, name, None)) for name in TEXT_FIELDS]
        return " ".join([line, *(as_field(value) for value in values if value not in (None, []))])


def as_field(value: Any) -> str:
    """The value as one field of a line of text: quoted where it would not be taken for one."""
    return repr(value) if isinstance(value, str) and PARTED.search(value) else str(value)


def spare_what_no_line_shows() -> None:
    """Where a line was logged, and by which thread and process: the library looks for all of it for each."""
    logging._srcfile = None  # the name that Python's logging HOWTO gives
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def logging_config(log_format: str) -> dict[str, Any]:
    """The dictConfig for the master and the workers: every line to stdout in one format."""
    as_json = {
        "()": "app.logs.JsonFormatter",
        "fmt": "%(levelname)s %(name)s %(message)s",
        "rename_fields": {"levelname": "severity", "name": "logger"},
        "timestamp": "time",
    }
    as_text = {"()": "app.logs.TextFormatter", "fmt": "%(asctime)s %(levelname)s %(message)s"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": as_json if log_format == "json" else as_text},
        "handlers": {"stdout": {"class": "app.log_output.LogOutput", "formatter": "line"}},
        "root": {"level": "INFO", "handlers": ["stdout"]},
        "loggers": {
            "gunicorn.error": {"level": "INFO", "handlers": ["stdout"], "propagate": False},
            "gunicorn.access": {"level": "INFO", "handlers": [], "propagate": False},
            # What keeps the keys from being read is reported by the key store; urllib3 warns of each try.
            "urllib3": {"level": "ERROR"},
        },
    }
