"""A stand-in for an OpenTelemetry collector: a real HTTP server that decodes what it is sent over OTLP."""

import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

STEP_SECONDS = 0.05


class FakeCollector:
    """The server, on a free port of this machine; a context manager.

    `spans` grows by one object for each span, `heads` by the header fields of each request, and `connections`
    counts. `mood` says how it answers: `well`, with a `status`, or one of the faults below.
    """

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.heads: list[dict[str, str]] = []
        self.connections = 0
        self.mood = "well"
        self.status = 200
        self.is_over = False

    def __enter__(self) -> "FakeCollector":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"collector": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.is_over = True
        self._server.shutdown()
        self._server.server_close()

    def span(self, **wanted: Any) -> dict[str, Any] | None:
        """The span whose attributes have these values; names use `__` for a dot."""
        names = {name.replace("__", "."): value for name, value in wanted.items()}
        return next((s for s in list(self.spans) if names.items() <= s["attributes"].items()), None)

    def take(self, content: bytes) -> None:
        """Decode one request."""
        for resource in ExportTraceServiceRequest.FromString(content).resource_spans:
            common = attributes(resource.resource)
            for scope in resource.scope_spans:
                self.spans += [describe(span, common) for span in scope.spans]


class Handler(BaseHTTPRequestHandler):
    """One connection to the collector; the moods are its methods."""

    protocol_version = "HTTP/1.1"
    collector: FakeCollector

    def setup(self) -> None:
        super().setup()
        self.collector.connections += 1

    def do_POST(self) -> None:
        collector = self.collector
        content = self.rfile.read(int(self.headers["Content-Length"]))
        collector.heads.append({**dict(self.headers), "path": self.path})
        if collector.mood == "well" and collector.status == 200:
            collector.take(content)
        try:
            getattr(self, collector.mood)()
        except OSError:
            self.close_connection = True

    def well(self) -> None:
        """As it is meant to be."""
        self.send_response(self.collector.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def silent(self) -> None:
        """Takes the spans and never answers."""
        while not self.collector.is_over:
            time.sleep(STEP_SECONDS)

    def garbage(self) -> None:
        """Speaks another protocol."""
        self.wfile.write(b"\x00\xff SSH-2.0 \r\nnot: http\r\n\r\n")
        self.close_connection = True

    def resetting(self) -> None:
        """Breaks the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def dripping(self) -> None:
        """Sends its answer byte by byte."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not self.collector.is_over:
            self.wfile.write(b"x")
            time.sleep(STEP_SECONDS)

    def endless(self) -> None:
        """Sends an answer without an end, as fast as it is taken."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not self.collector.is_over:
            self.wfile.write(bytes(1024 * 1024))

    def log_message(self, *_: Any) -> None:
        pass


def attributes(holder: Any) -> dict[str, Any]:
    """The attributes of a span or a resource."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in holder.attributes}


def describe(span: Any, resource: dict[str, Any]) -> dict[str, Any]:
    """What a span says."""
    return {
        "name": span.name,
        "kind": span.kind,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex(),
        "state": span.trace_state,
        "seconds": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        "ended_at": span.end_time_unix_nano / 1e9,
        "is_error": span.status.code == 2,
        "attributes": attributes(span),
        "resource": resource,
    }
