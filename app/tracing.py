"""One OpenTelemetry span for each request. Imported only where that is wanted.

A span waits in a bounded queue of its worker; a greenlet sends what is there every few seconds. A collector
that is down, slow or talks nonsense costs spans, and nothing else: that greenlet waits for it, no request.
"""

import time

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from app.current import this_g
from app.logs import RequestRecord
from app.routes import MODEL_ROUTE, TABLE, Access, Route
from app.span_attributes import attributes_of, is_failure
from app.span_export import PatientExporter, spare_the_log, within
from app.trace_context import TraceContext

OUR_NAME = "vllm-gateway"
QUEUE_SPANS = 2048  # of each worker; beyond that the oldest are dropped
BATCH_SPANS = 32  # encoding them takes two milliseconds, in which the event loop stands still
BATCH_SECONDS = 2.0


class Tracing:
    """The spans of one worker; a sink for the records of requests. Health is not traced.

    Raises ValueError when one of the library's own variables is no limit.
    """

    def __init__(self) -> None:
        self._limits = SpanLimits()

    def start(self) -> None:
        """Make what sends spans: after the fork, since it has a greenlet and connections."""
        spare_the_log()
        self._provider = TracerProvider(
            resource=our_resource(), shutdown_on_exit=False, span_limits=self._limits
        )
        sender = BatchSpanProcessor(PatientExporter(), QUEUE_SPANS, BATCH_SECONDS * 1000, BATCH_SPANS)
        self._provider.add_span_processor(sender)
        self._tracer = self._provider.get_tracer(OUR_NAME)

    def stop(self, seconds: float) -> None:
        """Send what is left, for at most so long."""
        within(seconds, self._provider.shutdown, None)

    def begin(self) -> None:
        """Start the span of the request at hand, before its view: what the upstream does is part of it."""
        found = this_g()
        if found.route.access is not Access.PUBLIC:
            self._begin(found.record)

    def write(self, record: RequestRecord) -> None:
        """End the request's span. One that was refused before `begin` has a span too.

        Strangers have no more spans than lines of log.
        """
        route = MODEL_ROUTE if record.route == MODEL_ROUTE.path else route_of(record)
        if route is None or route.access is Access.PUBLIC or not record.is_logged:
            return
        if record.span is None:
            self._begin(record)
        span = record.span
        if span.is_recording():
            span.set_attributes(attributes_of(record, route))
            if is_failure(record):
                span.set_status(Status(StatusCode.ERROR))
            span.end()

    def _begin(self, record: RequestRecord) -> None:
        began = time.time_ns() - int((time.monotonic() - record.started) * 1e9)
        parent = Context() if record.trace is None else as_parent(record.trace)
        name = f"{record.method} {record.route}"
        record.span = self._tracer.start_span(name, parent, SpanKind.SERVER, start_time=began)
        ours = record.span.get_span_context()
        if ours.is_valid:  # else the library was told to do nothing
            record.trace = TraceContext(
                trace_id=trace.format_trace_id(ours.trace_id),
                span_id=trace.format_span_id(ours.span_id),
                flags=int(ours.trace_flags),
                state=ours.trace_state.to_header(),
            )


def route_of(record: RequestRecord) -> Route | None:
    """The fixed route that a request was on."""
    return TABLE.get(record.route or "", {}).get(record.method or "")


def as_parent(told: TraceContext) -> Context:
    """What a request said of its trace, as the library knows it."""
    parent = trace.SpanContext(
        trace_id=int(told.trace_id, 16),
        span_id=int(told.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(told.flags),
        trace_state=TraceState.from_header([told.state]) if told.state else None,
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())


def our_resource() -> Resource:
    """What all spans say of this process: by the standard variables, and our name where they give none."""
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return resource.merge(Resource({SERVICE_NAME: OUR_NAME}))
    return resource
