"""The proxy blueprint: each relayed route is the same list of steps."""

import time
from dataclasses import dataclass
from typing import Any

import gevent
from flask import Blueprint, Request, Response, current_app

from app import headers
from app.answer import Answer
from app.application import RelayedResponse
from app.auth import Principal
from app.body import check_declared, edited, parse_body, read_body, usage_wish
from app.connection import ClientConnection
from app.current import this_g, this_request
from app.dialects import choose_inspector
from app.errors import RequestTooLarge
from app.gpu_time import GpuTime, Stint
from app.hold import Hold
from app.inspector import Inspector
from app.limits import Limits
from app.load import Load, Share
from app.logs import RequestRecord, clean
from app.overflow import Overflows
from app.policy import Policy
from app.refusal import check_usable, refusal_of_upstream
from app.relay import Relay
from app.routes import RELAYED, Api, Route
from app.settings import Settings
from app.upstream import Call, Upstream
from app.wire import CONNECTION

USAGE_APIS = (Api.CHAT, Api.COMPLETIONS)

bp = Blueprint("proxy", __name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request's body makes of the request; the parsed body itself is not kept."""

    call: Call
    is_stream: bool
    inspector: Inspector

    @property
    def body(self) -> bytes:
        """What goes upstream."""
        return self.call.body or b""


class Proxy:
    """Brings one request to the upstream and its answer back."""

    def __init__(
        self, settings: Settings, upstream: Upstream, hold: Hold, load: Load, gpu_time: GpuTime
    ) -> None:
        self._settings = settings
        self._upstream = upstream
        self._hold = hold
        self._load = load
        self._gpu_time = gpu_time
        self._policy = Policy(settings)
        self._overflows = Overflows()

    def relay(self) -> Response:
        """Read, check, hold, send, and hand the answer to the relay."""
        current, found = this_request(), this_g()
        record: RequestRecord = found.record
        connection: ClientConnection = current.environ[CONNECTION]
        length = self._check_declared(current, found)
        share = connection.keep(self._load.enter())
        stream = current.environ["wsgi.input"]
        plan = self._plan(found, current, self._read_body(stream, connection, share, length, record))
        with connection.watched():
            record.waited += self._hold.wait()
            limits = self._limits(record)
            connection.keep(Stint(self._gpu_time, record))
            with gevent.Timeout(*limits.to_head()):
                answer = connection.keep(self._upstream.open(plan.call))
                if answer.is_refusal:
                    return self._refuse(answer, current, found, plan.body)
        share.drop_body()
        check_usable(answer, is_stream=plan.is_stream)
        if self._overflows.are_recent and found.route.api is Api.CHAT:
            self._overflows.note_answer(current.headers, found.principal.secret, plan.body)
        return _respond(answer, Relay(answer, plan.inspector, limits, record))

    def _check_declared(self, current: Request, found: Any) -> int | None:
        """The length that the head declares; None for a chunked body, which tells none."""
        environ = current.environ
        is_chunked = "HTTP_TRANSFER_ENCODING" in environ  # the worker takes no other coding
        length = None if is_chunked else current.content_length or 0
        content_type = environ.get("CONTENT_TYPE", "")
        content_encoding = environ.get("HTTP_CONTENT_ENCODING", "")
        try:
            check_declared(content_type, content_encoding, length, self._settings.max_request_bytes)
        except RequestTooLarge:
            if found.route.api is Api.CHAT:
                self._overflows.check_size(length, current.headers, found.principal.secret)
            raise
        return length

    def _read_body(
        self,
        stream: Any,
        connection: ClientConnection,
        share: Share,
        length: int | None,
        record: RequestRecord,
    ) -> bytes:
        limit = self._settings.max_request_bytes
        if length is None:
            stream.reader.limit = limit
        elif length:
            share.reserve(length)
        if length != 0:
            connection.send_continue()
        if length is not None and connection.has_buffered(length):
            whole: bytes = stream.read(length)  # it came with the head: there is nothing to wait for
            return whole
        began = time.monotonic()
        try:
            with connection.stoppable():
                return read_body(stream, length, limit, share.reserve if length is None else None)
        finally:
            record.waited += time.monotonic() - began

    def _plan(self, found: Any, current: Request, raw: bytes) -> Plan:
        record: RequestRecord = found.record
        route: Route = found.route
        principal: Principal = found.principal
        record.bytes_in = len(raw)
        body = parse_body(raw, self._settings.max_json_values)
        record.model = clean(body.model)  # cut: the record outlives the body, of which this may be the most
        record.is_stream = body.is_stream
        changes = self._policy.review(route.upstream_path, body.fields, principal.cache_salt)
        is_stream = route.streams and body.is_stream
        asks_usage = route.api in USAGE_APIS and is_stream and not body.wants_usage
        if asks_usage:
            changes.put["stream_options"] = usage_wish(body)
        passed = headers.to_upstream(
            current.headers, record.request_id, principal.secret, record.trace, has_body=True
        )
        choices = body.count_choices(prompts=route.api is Api.COMPLETIONS)
        return Plan(
            call=Call(route.method, route.upstream_path, passed, edited(body, changes.drop, changes.put)),
            is_stream=is_stream,
            inspector=choose_inspector(route.api, streamed=is_stream, choices=choices, drop_usage=asks_usage),
        )

    def _refuse(self, answer: Answer, current: Request, found: Any, body: bytes) -> Response:
        refusal = refusal_of_upstream(answer)
        if found.route.api is Api.CHAT:
            self._overflows.check_refusal(
                refusal.status_code, refusal.get_data(), current.headers, found.principal.secret, body
            )
        return refusal

    def _limits(self, record: RequestRecord) -> Limits:
        now, settings = time.monotonic(), self._settings
        record.sent_at = now
        return Limits(
            first_byte_due=now + settings.first_byte_timeout_seconds,
            request_due=record.started + settings.request_deadline_seconds,
            idle=settings.stream_idle_timeout_seconds,
            stall=settings.client_stall_timeout_seconds,
        )


def _respond(answer: Answer, relay: Relay) -> Response:
    is_stream = answer.is_event_stream
    fields = headers.to_client(answer.headers, is_stream=is_stream)
    # Events may be taken out or added, so the length of a stream is not ours to promise.
    if not is_stream and (length := answer.length) is not None:
        fields.append(("Content-Length", str(length)))
    return RelayedResponse(relay, answer.status, fields)


def relay() -> Response:
    """The view of every relayed route."""
    proxy: Proxy = current_app.extensions["proxy"]
    return proxy.relay()


for _route in RELAYED:
    bp.add_url_rule(_route.path, "relay", relay, methods=[_route.method])
