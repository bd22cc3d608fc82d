"""The gunicorn worker: serves connections, bounds their heads, watches clients, drains, retires."""

import errno
import logging
import os
import time
from types import SimpleNamespace
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http.wsgi import base_environ
from gunicorn.workers.ggevent import GeventWorker

from app.connection import ClientConnection
from app.crowd import Crowd
from app.environ import make_environ
from app.errors import RequestTimeout
from app.head import HeadParser, HeadRefused
from app.instance import INSTANCE
from app.log_output import LogOutput
from app.logs import RequestRecord
from app.request_log import RequestLog
from app.routes import known_path
from app.settings import Settings
from app.turns import Turnstile
from app.unavailable import Draining
from app.wire import Exchange, Sink, send_error

HEAD_SECONDS = 10.0
TICK_SECONDS = 0.2
RETIRED_IDLE_SECONDS = 30.0
FIRST_REQUEST_SECONDS = 1.0
FAREWELL_SECONDS = 1.0
EXTRA_HEAD_SECONDS = 1.0
SPANS_SECONDS, LAST_SPANS_SECONDS = 2.0, 0.3  # at most, and also where every stream had to be cut

CLIENT_LEFT = (
    *(errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN, errno.ETIMEDOUT),
    *(errno.EHOSTUNREACH, errno.ENETUNREACH),
)


def fixed(cfg: Any) -> Any:
    """gunicorn's settings as they are now; it looks each of them up anew, some twenty for every request."""
    values = {name: setting.get() for name, setting in cfg.settings.items()}
    methods = ("is_ssl", "forwarded_allow_networks", "proxy_allow_networks")
    return SimpleNamespace(**values, **{name: getattr(cfg, name) for name in methods})


class GatewayWorker(GeventWorker):
    """gunicorn's gevent worker with a connection loop of our own."""

    slot = 0  # of the instance's tables; gunicorn's hook gives each worker its own

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fixed = fixed(self.cfg)
        self._environ = dict(base_environ(self._fixed))
        self._crowd = Crowd(self.worker_connections)
        self._stopping: Event | None = None
        self._lost_told = 0

    # Life

    def run(self) -> None:
        """Serve until told to stop; then drain or retire (the shared page says which)."""
        self._stopping = Event()
        self._turnstile = Turnstile()
        servers = [self._listen(sock) for sock in self.sockets]
        # The master may be busy replacing workers when it is told to stop; the page is not.
        while self.alive and not INSTANCE.is_draining:
            self._beat()
            self._stopping.wait(TICK_SECONDS)
        self.alive = False
        if not INSTANCE.is_draining:
            self._retire(servers)
        if INSTANCE.is_draining:
            self._drain()
        self._log().tell(is_last=True)
        self._send_spans()

    def _send_spans(self) -> None:
        """Send what is left of the traces, before this process would be killed for being late."""
        application: Any = self.wsgi
        tracing = application.extensions.get("tracing")
        if tracing is not None:
            until = INSTANCE.get("draining_since") + self._settings().drain_seconds
            left = until - time.monotonic() if INSTANCE.is_draining else SPANS_SECONDS
            tracing.stop(min(SPANS_SECONDS, max(LAST_SPANS_SECONDS, left)))

    def _settings(self) -> Settings:
        application: Any = self.wsgi
        settings: Settings = application.extensions["settings"]
        return settings

    def _log(self) -> RequestLog:
        application: Any = self.wsgi
        log: RequestLog = application.extensions["request_log"]
        return log

    def _sinks(self) -> tuple[Sink, ...]:
        application: Any = self.wsgi
        sinks: tuple[Sink, ...] = application.extensions["sinks"]
        return sinks

    def _listen(self, sock: Any) -> StreamServer:
        sock.setblocking(True)
        name = sock.getsockname()  # a retired worker still serves when its listener is closed
        server = StreamServer(
            sock,
            handle=lambda client, address: self.handle(name, client, address),
            spawn=Pool(self._crowd.places),
        )
        # One connection a turn of the loop: of many that come at once, the first is answered before the last
        # is looked at; and several workers share them.
        server.max_accept = 1
        server.start()
        return server

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM, from the master: leave the waiting loop at once."""
        super().handle_exit(sig, frame)
        if self._stopping is not None:
            self._stopping.set()

    def _drain(self) -> None:
        """The instance goes down: idle connections close, streams may run on for DRAIN_SECONDS.

        The listener stays open meanwhile, so that probes and new requests hear why.
        """
        until = INSTANCE.get("draining_since") + self._settings().drain_seconds
        while self._is_busy() and time.monotonic() < until:
            self._close_idle()
            self._tick()
        while self._is_busy() and time.monotonic() < until + FAREWELL_SECONDS:
            for connection in self._crowd:
                connection.interrupt(Draining())
            self._tick()
        self._close_idle()
        self._tick()

    def _retire(self, servers: list[StreamServer]) -> None:
        """A newer worker takes over: finish what runs and answer what still comes here, no limit."""
        for server in servers:
            server.close()
        # The pools count a connection from its accept on, before its greenlet has run at all.
        while any(server.pool for server in servers) and not INSTANCE.is_draining:
            self._close_idle(RETIRED_IDLE_SECONDS)
            self._tick()

    def _tick(self) -> None:
        self._beat()
        gevent.sleep(TICK_SECONDS)

    def _beat(self) -> None:
        """Show the master that this worker lives, write kept log lines, notice when the master is gone."""
        self._log().tell()
        for output in logging.getLogger().handlers:
            output.flush()
            if isinstance(output, LogOutput):
                self._tell_lost(output.stream.lost_ever)
        if os.getppid() == self.ppid:
            self.notify()  # without a master it would end this process on the spot
        elif not INSTANCE.is_draining:
            self.log.error("the master is gone; draining")
            INSTANCE.begin_drain()

    def _tell_lost(self, lines: int) -> None:
        INSTANCE.lost_lines[self.slot] += lines - self._lost_told
        self._lost_told = lines

    def _is_busy(self) -> bool:
        return any(connection.is_busy for connection in self._crowd)

    def _close_idle(self, seconds: float = 0.0) -> None:
        """Close what has waited so long for its next request; a new connection is given a moment."""
        now = time.monotonic()
        for connection in self._crowd:
            patience = seconds if connection.has_served else max(seconds, FIRST_REQUEST_SECONDS)
            if not connection.is_busy and now - connection.idle_since >= patience:
                connection.shut_reading()

    # Connections

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection until either side is done with it."""
        client.setblocking(True)
        addr = addr if isinstance(addr, tuple) else ""  # what a Unix socket's peer calls itself tells nothing
        parser = HeadParser(self._fixed, client, addr)
        connection = ClientConnection(client, parser.unreader)
        self._crowd.enter(connection)
        try:
            while self._serve_next(connection, parser, listener, addr) and not connection.has_overflowed:
                connection.has_served = True
                connection.idle_since = time.monotonic()
        except OSError as error:
            if error.errno not in CLIENT_LEFT:
                self.log.exception("connection failed")
        finally:
            self._crowd.close(connection)

    def _serve_next(self, connection: ClientConnection, parser: HeadParser, listener: Any, addr: Any) -> bool:
        """Serve one request; whether the connection can carry another."""
        is_first = parser.req_count == 0
        head_seconds = EXTRA_HEAD_SECONDS if connection.is_extra else HEAD_SECONDS
        if not connection.wait_for_request(head_seconds if is_first else self.cfg.keepalive):
            return False
        connection.is_busy = True
        connection.idle_since = time.monotonic()  # from here on, for the rest of the request
        try:
            self._turnstile.wait()
            if connection.has_buffered_head():
                request = next(parser)
            else:
                with gevent.Timeout(head_seconds, RequestTimeout()):
                    request = next(parser)
            connection.is_crowded = self._crowd.is_crowded
            environ = make_environ(self._environ, request, connection.sock, listener, addr)
            exchange = Exchange(request, environ, connection, self._fixed, self._sinks())
            return exchange.serve(self.wsgi, last=not self.alive or connection.is_extra)
        except StopIteration:
            return False
        except HeadRefused as refusal:
            self._refuse(connection, addr, refusal)
            return False
        finally:
            connection.is_busy = False

    def _refuse(self, connection: ClientConnection, addr: Any, refusal: HeadRefused) -> None:
        """Answer a request that never became one, in the shape of every other error."""
        record = RequestRecord(peer=addr[0] if addr else None, method=refusal.method)
        record.route = known_path(refusal.target)
        try:
            send_error(connection, refusal.error, record, refusal.target)
        finally:
            for sink in self._sinks():
                sink.write(record)
