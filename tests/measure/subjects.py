"""What is measured: the gateway, or another proxy in its place, in front of the same upstream.

nginx and HAProxy run with one worker, kept-alive connections to the upstream, streaming on, a key check,
and the limits that the gateway has: what an operator would write, and no more.
"""

import math
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.client import KEY
from tests.gateway import Gateway, wait_until
from tests.measure.program import SYSTEM_PROGRAMS, Program, family_of
from tests.measure.upstream import Upstream


class GatewaySubject(Gateway):
    """The gateway itself, with its default of two workers unless a setting says otherwise."""

    stop_signal = signal.SIGTERM
    reload_signal = signal.SIGHUP

    def __enter__(self) -> "GatewaySubject":
        super().__enter__()
        self.wait_ready()
        workers = int(self.environ.get("WEB_CONCURRENCY", 2))
        wait_until(lambda: len(self.worker_pids()) == workers)
        return self

    def family(self) -> list[psutil.Process]:
        """Its processes."""
        return family_of(self.process.pid)


class Configured(Program):
    """Another proxy, with a configuration file, and limits in seconds as the gateway has them."""

    start_command: tuple[str, ...]
    template: str
    stop_signal: signal.Signals
    reload_signal: signal.Signals
    unix_prefix: str  # of the path of an upstream's Unix socket

    def __init__(
        self, folder: Path, upstream_url: str, cpu: int | None = None, *, stall: int = 60, drain: int = 7
    ) -> None:
        super().__init__(folder, upstream_url, cpu)
        self._limits = {"stall": stall, "drain": drain}

    def command(self) -> Sequence[str]:
        """Write its configuration, and start it with that."""
        scheme, _, place = self.upstream_url.partition("://")
        server = f"{self.unix_prefix}{place}" if scheme == "unix" else place
        values = {"port": self.port, "key": KEY, "server": server, "folder": self.folder}
        config = self.folder / "proxy.conf"
        config.write_text(self.template.format(**values, **self._limits))
        return [*self.start_command, str(config)]


class Nginx(Configured):
    """nginx."""

    start_command = ("nginx", "-c")
    unix_prefix = "unix:"
    stop_signal = signal.SIGQUIT  # its graceful stop; also what its container image is stopped with
    reload_signal = signal.SIGHUP
    template = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
worker_shutdown_timeout {drain}s;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_timeout 620s;
  keepalive_requests 1000000;
  send_timeout {stall}s;
  reset_timedout_connection on;
  map $http_x_api_key $is_known {{ default 0; "{key}" 1; }}
  upstream model {{ server {server}; keepalive 1000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    client_max_body_size 20m;
    client_body_buffer_size 128k;
    location = /health/live {{ return 200; }}
    location / {{
      if ($is_known = 0) {{ return 401; }}
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-API-Key "";
      proxy_buffering off;
      proxy_read_timeout 290s;
    }}
  }}
}}
"""


class Haproxy(Configured):
    """HAProxy."""

    start_command = ("haproxy", "-W", "-f")
    unix_prefix = "unix@"
    stop_signal = signal.SIGUSR1  # its graceful stop; also what its container image is stopped with
    reload_signal = signal.SIGUSR2
    template = """\
global
  maxconn 4096
  nbthread 1
  hard-stop-after {drain}s
defaults
  mode http
  option abortonclose
  option http-no-delay
  timeout connect 2s
  timeout client {stall}s
  timeout server 290s
  timeout http-request 10s
  timeout http-keep-alive 620s
frontend clients
  bind 127.0.0.1:{port} backlog 2048
  http-request return status 200 if {{ path /health/live }}
  http-request deny deny_status 401 unless {{ req.hdr(x-api-key) -m str {key} }}
  http-request del-header x-api-key
  default_backend model
backend model
  http-reuse always
  server model {server}
"""


class Direct:
    """No proxy at all: what the upstream and the machine cost by themselves."""

    boot_seconds = math.nan

    def __init__(self, port: int) -> None:
        self.port = port

    def __enter__(self) -> "Direct":
        return self

    def __exit__(self, *_exc: object) -> None:
        return

    def family(self) -> list[psutil.Process]:
        """It has no processes."""
        return []


PROGRAMS: dict[str, type[Configured]] = {"nginx": Nginx, "haproxy": Haproxy}
NAMES = ("gateway", *PROGRAMS, "direct")


def start(
    name: str, folder: Path, upstream: Upstream, *, stall: int = 60, drain: int = 7, **more: Any
) -> Any:
    """The subject of that name, to be entered; `stall` and `drain` in seconds, `more` is the gateway's."""
    if name == "direct":
        return Direct(upstream.port)
    own = folder / name
    own.mkdir(exist_ok=True)
    if name in PROGRAMS:
        return PROGRAMS[name](own, upstream.url, stall=stall, drain=drain)
    limits = {"CLIENT_STALL_TIMEOUT_SECONDS": stall, "DRAIN_SECONDS": drain}
    return GatewaySubject(own, upstream.url, **limits, **more)


def is_installed(name: str) -> bool:
    """Whether the subject can be started on this machine."""
    places = f"{os.environ['PATH']}:{SYSTEM_PROGRAMS}"
    return name not in PROGRAMS or shutil.which(name, path=places) is not None


def settle(family: Callable[[], list[psutil.Process]], most: int, seconds: float = 15.0) -> int:
    """Wait until no more than so many file descriptors are open; returns how many are."""
    with suppress(AssertionError):
        wait_until(lambda: descriptors(family()) <= most, seconds)
    return descriptors(family())


def descriptors(family: list[psutil.Process]) -> int:
    """Open file descriptors of all these processes."""
    return sum(member.num_fds() for member in family)


def resident(family: list[psutil.Process]) -> float:
    """Resident memory of all these processes, in MB."""
    return sum(member.memory_info().rss for member in family) / 1e6


def proportional(family: list[psutil.Process]) -> float:
    """Memory of all these processes, shared pages by their share, in MB."""
    return sum(member.memory_full_info().pss for member in family) / 1e6
