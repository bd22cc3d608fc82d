"""What is measured: the gateway, or another proxy in its place, in front of the same upstream.

nginx and HAProxy run with one worker, kept-alive connections to the upstream, streaming on, a key check,
and the limits that the gateway has: what an operator would write, and no more.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.client import KEY, RawClient
from tests.gateway import Gateway, wait_until
from tests.local import free_port
from tests.measure.upstream import Upstream

START_SECONDS = 5.0


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
        master = psutil.Process(self.process.pid)
        return [master, *master.children(recursive=True)]


class Program:
    """Another proxy, with a configuration file."""

    command: tuple[str, ...]
    template: str
    stop_signal: signal.Signals
    reload_signal: signal.Signals

    def __init__(self, folder: Path, upstream: Upstream, stall: int, drain: int) -> None:
        self._folder = folder
        self._upstream = upstream
        self._limits = {"stall": stall, "drain": drain}

    def server(self) -> str:
        """The upstream's address in the program's own words."""
        raise NotImplementedError

    def __enter__(self) -> "Program":
        for _ in range(3):
            self.port = free_port()
            if self._start():
                return self
            self.__exit__()
        raise AssertionError((self._folder / "log").read_text())

    def _start(self) -> bool:
        config = self._folder / "proxy.conf"
        values = {"port": self.port, "key": KEY, "server": self.server(), "folder": self._folder}
        config.write_text(self.template.format(**values, **self._limits))
        with (self._folder / "log").open("ab") as log:
            command = [*self.command, str(config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            with suppress(OSError), RawClient(self.port) as client:
                client.send_request("GET", "/health/live")
                return client.read_head() == 200
            time.sleep(0.02)
        return False

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            for member in self.family():
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            self.process.wait()

    def family(self) -> list[psutil.Process]:
        """Its processes."""
        master = psutil.Process(self.process.pid)
        return [master, *master.children(recursive=True)]


class Nginx(Program):
    """nginx."""

    command = ("nginx", "-c")
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

    def server(self) -> str:
        """As `server` takes it."""
        path = self._upstream.socket_path
        return f"unix:{path}" if path else f"127.0.0.1:{self._upstream.port}"


class Haproxy(Program):
    """HAProxy."""

    command = ("haproxy", "-W", "-f")
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
  server model {server}
"""

    def server(self) -> str:
        """As `server` takes it."""
        path = self._upstream.socket_path
        return f"unix@{path}" if path else f"127.0.0.1:{self._upstream.port}"


class Direct:
    """No proxy at all: what the upstream and the machine cost by themselves."""

    def __init__(self, upstream: Upstream) -> None:
        self.port = upstream.port

    def __enter__(self) -> "Direct":
        return self

    def __exit__(self, *_exc: object) -> None:
        return


PROGRAMS: dict[str, Callable[..., Program]] = {"nginx": Nginx, "haproxy": Haproxy}
NAMES = ("gateway", *PROGRAMS, "direct")


def start(
    name: str, folder: Path, upstream: Upstream, *, stall: int = 60, drain: int = 7, **more: Any
) -> Any:
    """The subject of that name, to be entered; `stall` and `drain` in seconds, `more` is the gateway's."""
    if name == "direct":
        return Direct(upstream)
    own = folder / name
    own.mkdir(exist_ok=True)
    if name in PROGRAMS:
        return PROGRAMS[name](own, upstream, stall, drain)
    limits = {"CLIENT_STALL_TIMEOUT_SECONDS": stall, "DRAIN_SECONDS": drain}
    return GatewaySubject(own, upstream.url, **limits, **more)


def is_installed(name: str) -> bool:
    """Whether the subject can be started on this machine."""
    return name not in PROGRAMS or shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is not None


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
