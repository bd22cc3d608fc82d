"""gunicorn's settings; each number has its reason in docs/architecture.md or beside it."""

# Before every other import: a library that is loaded earlier keeps blocking sockets.
from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402

from app.instance import INSTANCE  # noqa: E402
from app.logs import logging_config, spare_what_no_line_shows  # noqa: E402
from app.settings import SettingsError, server_settings  # noqa: E402

try:
    settings = server_settings()
except SettingsError as error:
    sys.exit(f"gateway: {error}")

RESERVED_FILES = (
    500  # the extra connections and their upstreams', those that close, pooled ones, the process's own
)


def raise_file_limit() -> int:
    """Take as many file descriptors as may be taken; returns how many that are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else sys.maxsize


host = f"[{settings.host}]" if ":" in settings.host else settings.host
bind = f"{host}:{settings.port}"
workers = settings.web_concurrency
worker_class = "app.worker.GatewayWorker"
# Each may need two file descriptors: the client's and the upstream's.
worker_connections = max(16, min(2000, (raise_file_limit() - RESERVED_FILES) // 2))
preload_app = True  # workers share the imported code's memory; nothing that holds a socket is made
keepalive = 620  # Google's front end reuses idle connections for 600 s
timeout = 60  # the heartbeat of the event loop, not of requests
graceful_timeout = math.ceil(settings.drain_seconds + 1.5)  # workers end themselves before that
max_requests = 0  # a restart by count would cut streams
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108  the heartbeat file

http_parser = "python"
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
header_map = "drop"
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}  # else a peer on a Unix socket says what the scheme is
os.environ.pop("SCRIPT_NAME", None)  # gunicorn would take it off every path
control_socket_disable = True

logconfig_dict = logging_config(settings.log_format)
spare_what_no_line_shows()
accesslog = None

SEND_BUFFER_BYTES = 48 * 1024  # else a client that does not read holds 2.8 MB of the kernel's


def when_ready(server: Any) -> None:
    """Before the first fork: cap what accepted sockets inherit, watch for the end."""
    # What is loaded by now stays: looking for garbage in it would make each worker a copy of its own.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)  # 700 is what two requests make; hardly any of it lies in cycles
    INSTANCE.set("master_pid", server.pid)
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(stop, lambda number, frame: begin_drain(server, number, frame))


retired: set[int] = set()  # pids of workers that a reload replaces


def pre_fork(_server: Any, worker: Any) -> None:
    """Give the worker a place in the shared page to count what it carries."""
    worker.slot = INSTANCE.take_slot()


def on_reload(server: Any) -> None:
    """Every worker of this moment is about to be replaced."""
    retired.update(server.WORKERS)


def child_exit(server: Any, worker: Any) -> None:
    """Drop the load of a worker that has ended, and replace one that died during a reload.

    gunicorn counts retired workers as serving, and would leave the listener without anyone behind it.
    """
    INSTANCE.free_slot(worker.slot)
    serving = [pid for pid in server.WORKERS if pid not in retired]
    if server.LISTENERS and not INSTANCE.is_draining:  # neither stopping nor about to
        for _ in range(server.num_workers - len(serving)):
            server.spawn_worker()


def begin_drain(server: Any, number: int, frame: Any) -> None:
    """Workers get the same SIGTERM when they are replaced: the page tells them a drain from that."""
    if os.getpid() == server.pid:
        INSTANCE.begin_drain()
    server.signal(number, frame)


def post_worker_init(worker: Any) -> None:
    """Start the worker's share of the background duties; its first client finds the keys read."""
    extensions = worker.wsgi.extensions
    for counting in ("load", "gpu_time", "hold", "request_log", "recent_errors"):
        extensions[counting].slot = worker.slot
    extensions["ledger"].use_slot(worker.slot)
    INSTANCE.pids[worker.slot] = os.getpid()
    if "tracing" in extensions:
        extensions["tracing"].start()
    for duty in ("monitor", "key_refresh", "usage_keeper", "history"):
        gevent.spawn(keep_running, extensions[duty].run)
    extensions["key_refresh"].wait_for_first()


def worker_exit(server: Any, worker: Any) -> None:
    """Without a master nobody writes the instance's last usage behind its workers, so each of them does."""
    if os.getpid() == worker.pid and os.getppid() != server.pid:
        worker.wsgi.extensions["usage_keeper"].write_last(is_last=False)


def on_exit(server: Any) -> None:
    """Write the usage that nobody has written yet; no worker is left that could count more."""
    application = server.app.callable
    if application is not None:  # it is none where the start failed
        application.extensions["usage_keeper"].write_last(is_last=True)


def keep_running(duties: Callable[[], None]) -> None:
    """Start the duties again after a defect; gevent has printed it."""
    while True:
        gevent.spawn(duties).join()
        gevent.sleep(1.0)
