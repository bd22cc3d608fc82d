"""Each way in which no gateway can be reached is named, and the doctor never hangs on one."""

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from app.doctor import asking, examination, place
from tests.examined import examine
from tests.gateway import Gateway
from tests.integration.test_clock import Clock
from tests.local import free_port
from tests.odd_server import OddServer, read_head


def hang(sock: socket.socket) -> None:
    while sock.recv(65536):
        continue


def drip(data: bytes, seconds: float) -> Callable[[socket.socket], None]:
    def behave(sock: socket.socket) -> None:
        read_head(sock)
        while True:
            sock.sendall(data)
            time.sleep(seconds)

    return behave


def say(data: bytes) -> Callable[[socket.socket], None]:
    def behave(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(data)

    return behave


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "LEAST_FIRST_SECONDS", 1.0)


def test_a_port_where_nothing_listens_is_named() -> None:
    found = examine(f"http://127.0.0.1:{free_port()}")

    assert (found.status, found.troubles) == (1, ["refused"])
    assert found.report["requests"] == 1


def test_a_host_that_swallows_connections_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(4):  # more than a queue of that length takes
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())

        assert examine(f"http://127.0.0.1:{listener.getsockname()[1]}").troubles == ["unreachable"]


def test_a_deployment_that_is_slow_throughout_is_left_in_time(
    monkeypatch: pytest.MonkeyPatch, gateway: Gateway
) -> None:
    monkeypatch.setattr(examination, "MOST_SECONDS", 0.3)

    found = examine(f"http://127.0.0.1:{gateway.port}", "--wait", "0")

    assert (found.status, found.troubles) == (1, ["too_slow"])


def test_a_name_that_nobody_knows_is_named() -> None:
    assert examine("https://gateway.invalid").troubles == ["dns"]


def test_a_key_is_never_sent_in_clear_text_over_the_internet() -> None:
    found = examine("http://gateway.example")

    assert (found.status, found.troubles, found.report["requests"]) == (1, ["clear_text"], 0)


@pytest.mark.parametrize(
    "url", ["", "gateway", "ftp://x", "http://", "https://sk-1@x", "http://[", "http://x:y"]
)
def test_what_is_no_address_is_named(url: str) -> None:
    assert examine(url).troubles == ["address_invalid"]


ODD = {
    "not_http": say(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "cut": say(b""),
    "too_large": say(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000),
}


@pytest.mark.parametrize("code", ODD)
def test_a_server_of_another_kind_is_named(code: str) -> None:
    with OddServer(ODD[code]) as server:
        assert examine(server.url).troubles == [code]


@pytest.mark.parametrize("behaviour", [hang, drip(b"HTTP/1.1 100 Continue\r\n\r\n", 0.02)])
def test_a_server_that_never_answers_is_left_in_time(
    impatient: None, behaviour: Callable[[socket.socket], None]
) -> None:
    with OddServer(behaviour) as server:
        started = time.monotonic()
        found = examine(server.url)

        assert found.troubles == ["no_answer"]
        assert time.monotonic() - started < 5


def test_an_answer_that_goes_on_for_ever_is_left_in_time(impatient: None) -> None:
    with OddServer(drip(b"HTTP/1.1 200 OK\r\n\r\n", 0.02)) as server:
        assert examine(server.url).troubles == ["stalled"]


@pytest.mark.parametrize("target", ["http://[", "\xff", "https://elsewhere.example/" + "x" * 5000, ""])
def test_a_redirect_is_not_followed_nor_read(impatient: None, target: str) -> None:
    head = f"HTTP/1.1 302 Found\r\nlocation: {target}\r\n\r\n".encode("latin-1")

    def behave(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(head)
        while True:
            sock.sendall(b"x" * 65536)

    with OddServer(behave) as server:
        found = examine(server.url)

    assert (found.status, found.troubles) == (1, ["redirect"])
    assert found.report["seconds"] < 5


def test_a_port_without_tls_is_named(gateway: Gateway) -> None:
    assert examine(f"https://127.0.0.1:{gateway.port}").troubles == ["tls_failed"]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def behind_tls(authority: trustme.CA, name: str) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    def behave(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as wrapped:
            read_head(wrapped)
            wrapped.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    return behave


def test_a_certificate_that_nobody_vouches_for_is_named(authority: trustme.CA) -> None:
    with OddServer(behind_tls(authority, "localhost")) as server:
        found = examine(f"https://localhost:{server.port}")

    assert found.troubles == ["tls_certificate"]
    assert "certificate" in found.finding("reach")["text"]


@pytest.mark.parametrize(("name", "code"), [("localhost", "other_server"), ("elsewhere", "tls_certificate")])
def test_an_authority_of_ones_own_can_be_trusted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    with OddServer(behind_tls(authority, name)) as server:
        assert examine(f"https://localhost:{server.port}").troubles == [code]


def test_a_proxy_of_the_environment_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")

    assert examine("https://gateway.example").troubles == ["proxy_failed"]


@pytest.mark.parametrize(
    ("offset", "status", "code"),
    [("+3600", 1, "clock_skew"), ("-3600", 1, "clock_skew"), ("+20", 0, "clock_drift")],
)
def test_a_wrong_clock_is_named(
    start: Callable[..., Gateway], tmp_path: Path, offset: str, status: int, code: str
) -> None:
    clock = Clock(tmp_path / "offset")
    clock.jump(offset)
    with start(**clock.settings()) as gateway:
        gateway.wait_ready()
        found = examine(f"http://127.0.0.1:{gateway.port}")

    assert (found.status, found.troubles) == (status, [code])
    assert ("ahead of" if offset[0] == "+" else "behind") in found.finding("clock")["text"]
