"""The upstream may be reached over TCP, TLS or a Unix socket, and its connections are kept with care."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.fake_vllm import FakeVllmThread
from tests.gateway import KEY, Gateway, wait_until

ASKED = {"stream_options": {"include_usage": True}}
SLOW = {"events": 2, "interval": 4.0}  # so that all of a burst run at once


@pytest.fixture
def over_tls(tmp_path: Path) -> Iterator[tuple[FakeVllmThread, Gateway]]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with ExitStack() as running:
        upstream = running.enter_context(FakeVllmThread(tls=context))
        gateway = running.enter_context(Gateway(tmp_path, upstream.url, SSL_CERT_FILE=ca_file))
        gateway.wait_ready()
        yield upstream, gateway


@pytest.mark.parametrize("script", [{}, {"event_bytes": 200_000}, {"write_bytes": 1}, {"framing": "close"}])
def test_a_stream_over_tls_passes_unchanged(over_tls: Any, script: dict[str, Any]) -> None:
    upstream, gateway = over_tls

    for _ in range(2):
        reply = gateway.chat(fake=script, **ASKED)

        assert reply.body == upstream.fake.sent(reply.request_id)
        assert reply.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("size", [8000, 12_000, 15_000, 40_000])
def test_a_plain_answer_over_tls_is_whole_whatever_its_size(over_tls: Any, size: int) -> None:
    upstream, gateway = over_tls

    reply = gateway.chat(stream=False, fake={"event_bytes": size, "framing": "length"})

    assert reply.body == upstream.fake.sent(reply.request_id)


def test_a_client_that_leaves_ends_the_tls_connection(over_tls: Any) -> None:
    upstream, gateway = over_tls

    with gateway.open_chat(fake={"interval": 30}) as client:
        pass

    received = next(r for r in upstream.fake.received if r.request_id == client.request_id)
    wait_until(lambda: received.client_left_at)


def test_a_certificate_that_nobody_vouches_for_is_no_upstream(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with FakeVllmThread(tls=context) as upstream, Gateway(tmp_path, upstream.url) as gateway:
        assert gateway.request("GET", "/health/ready").status == 503
        assert upstream.fake.received == []


def test_a_unix_socket_serves_as_well(tmp_path: Path) -> None:
    server = FakeVllmThread(str(tmp_path / "vllm.sock"))
    with server as upstream, Gateway(tmp_path, upstream.url) as gateway:
        gateway.wait_ready()

        reply = gateway.chat(**ASKED)

        assert reply.body == upstream.fake.sent(reply.request_id)


def test_an_answer_may_be_slow_on_a_reused_connection_too(tmp_path: Path) -> None:
    with FakeVllmThread() as upstream, Gateway(tmp_path, upstream.url, WEB_CONCURRENCY=1) as gateway:
        gateway.wait_ready()

        for _ in range(10):  # a probe may take the connection away
            replies = [gateway.chat(stream=False, fake={"before_head": delay}) for delay in (0, 2.5)]
            assert [reply.status for reply in replies] == [200, 200]
            *earlier, last = (r.connection for r in upstream.fake.received if r.method == "POST")
            if last in earlier:
                return
    raise AssertionError("no connection was used again")


def test_connections_that_a_burst_left_behind_are_closed(tmp_path: Path) -> None:
    with FakeVllmThread() as upstream, Gateway(tmp_path, upstream.url, WEB_CONCURRENCY=1) as gateway:
        gateway.wait_ready()
        with ExitStack() as burst:
            clients = [burst.enter_context(gateway.open_chat(fake=SLOW)) for _ in range(20)]
            for client in clients:
                client.read_body()
        assert upstream.fake.open_connections >= 20

        wait_until(lambda: upstream.fake.open_connections <= 3, 8.0)


def test_a_probe_that_is_reset_does_not_end_the_probing(tmp_path: Path) -> None:
    with FakeVllmThread() as upstream:
        upstream.fake.health_resets = 3
        with Gateway(tmp_path, upstream.url) as gateway:
            gateway.wait_ready()


def test_a_model_list_that_is_refused_is_refused_as_it_was(tmp_path: Path) -> None:
    with FakeVllmThread() as upstream, Gateway(tmp_path, upstream.url) as gateway:
        gateway.wait_ready()
        _, usual = upstream.fake.models
        upstream.fake.models = (503, b'{"error": {"message": "engine is dead"}}')
        refused = gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY})
        upstream.fake.models = (200, b'{"data": "not a list of models"}')
        unusable = gateway.request("GET", "/v1/models/x", headers={"X-API-Key": KEY})
        upstream.fake.models = (307, usual)
        elsewhere = gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY})

    assert (elsewhere.status, elsewhere.error_code) == (502, "upstream_error")
    assert (refused.status, refused.json()) == (503, {"error": {"message": "engine is dead"}})
    assert (unusable.status, unusable.error_code) == (502, "upstream_error")
