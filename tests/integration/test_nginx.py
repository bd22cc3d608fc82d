"""deploy/nginx.conf in the real nginx, in front of the real gateway."""

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.client import RawClient
from tests.gateway import chat_body, wait_until
from tests.local import ROOT, free_port
from tests.manifests import DEPLOY
from tests.measure.program import SYSTEM_PROGRAMS

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:{SYSTEM_PROGRAMS}")
HOST = "llm.example.org"
BUFFERED = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def configure(folder: Path, port: int, gateway_port: int) -> Path:
    """The server of deploy/nginx.conf, with the certificate and ports of this test's own."""
    text = (DEPLOY / "nginx.conf").read_text()
    replaced = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        f"/etc/ssl/{HOST}.pem": f"{folder}/both.pem",
        f"/etc/ssl/{HOST}.key": f"{folder}/both.pem",
        "127.0.0.1:8080": f"127.0.0.1:{gateway_port}",
    }
    for old, new in replaced.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "server.conf").write_text(text)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        # Debian's folders for these are root's.
        f"http {{ {' '.join(f'{kind}_temp_path {folder}/{kind};' for kind in BUFFERED)}\n"
        # The gateway itself tells nginx not to buffer; here the file alone has to see to it.
        f"access_log off; proxy_ignore_headers X-Accel-Buffering; include {folder}/server.conf; }}\n"
    )
    return folder / "nginx.conf"


@contextmanager
def nginx(folder: Path, gateway_port: int, authority: trustme.CA) -> Iterator[int]:
    """It runs, at the port."""
    port = free_port()
    certificate = authority.issue_cert(HOST)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    config = configure(folder, port, gateway_port)
    command = (str(NGINX), "-p", folder, "-c", config, "-e", folder / "error.log")
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_until(lambda: listens(port))
        yield port
    finally:
        process.terminate()
        process.wait(10)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed; `make bench-setup` says how")
def test_nginx_passes_each_event_on_as_it_comes_and_tells_whose_it_is(
    tmp_path: Path, start_gateway: Any
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    gateway = start_gateway(TRUSTED_PROXY_HOPS=1)
    gateway.wait_ready()

    with nginx(tmp_path, gateway.port, authority) as port, RawClient(port, source="127.0.0.5") as client:
        client.sock = context.wrap_socket(client.sock, server_hostname=HOST)
        body = chat_body(stream=True, fake={"events": 3, "interval": 1.0})
        client.send_request("POST", "/v1/chat/completions", body, Host=HOST, X_Forwarded_For="192.0.2.1")
        assert client.read_head() == 200
        arrivals = [time.monotonic() for _ in client.body()]
        request_id = client.request_id

    assert len(arrivals) >= 3
    assert all(later - earlier > 0.15 for earlier, later in pairwise(arrivals[:3]))
    assert gateway.log_line(request_id=request_id)["peer"] == "127.0.0.5"  # not what the client says
