"""An upstream that means ill costs nothing but its own answer: no memory, no other client's answer."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.client import KEY
from tests.fake_vllm import FakeVllm, FakeVllmThread
from tests.gateway import Gateway
from tests.oracle import asked

CHAT = "/v1/chat/completions"
BOMB = gzip.compress(bytes(10_000_000)) * 1000  # 10 MB that would become 10 GB
GROWTH_BYTES = 5_000_000


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, FakeVllm]]:
    """A gateway of one worker, and the upstream of its own."""
    with (
        FakeVllmThread() as upstream,
        Gateway(tmp_path_factory.mktemp("ill"), upstream.url, WEB_CONCURRENCY=1) as gateway,
    ):
        gateway.wait_ready()
        yield gateway, upstream.fake


@pytest.fixture
def bombed(ill: tuple[Gateway, FakeVllm]) -> Iterator[Gateway]:
    """Every answer is the bomb, unless a script says otherwise."""
    gateway, fake = ill
    headers = {"content-encoding": "gzip"}
    fake.defaults = {"body": BOMB.decode("latin-1"), "encoding": "latin-1", "headers": headers}
    yield gateway
    fake.defaults = {}


def resident_bytes(gateway: Gateway) -> int:
    """Of the one worker."""
    (worker,) = gateway.worker_pids()
    return int(psutil.Process(worker).memory_info().rss)


def read_in_pieces(gateway: Gateway, **script: Any) -> tuple[int, dict[str, str], int, bytes]:
    """Status, headers, size and beginning of an answer."""
    with gateway.connect() as client:
        client.send_request("POST", CHAT, asked(False, **script))
        client.read_head()
        size, start = 0, b""
        for piece in client.body():
            start = start or piece
            size += len(piece)
        assert client.is_whole
        return client.status, client.headers, size, start


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_compressed_answer_passes_as_it_is_and_is_never_inflated(bombed: Gateway, framing: str) -> None:
    read_in_pieces(bombed, framing=framing)
    before = resident_bytes(bombed)

    status, headers, size, start = read_in_pieces(bombed, framing=framing)

    assert (status, headers["content-encoding"], size) == (200, "gzip", len(BOMB))
    assert BOMB.startswith(start)
    assert resident_bytes(bombed) - before < GROWTH_BYTES


def test_a_compressed_error_becomes_one_that_clients_can_read(bombed: Gateway) -> None:
    before = resident_bytes(bombed)

    status, headers, _, start = read_in_pieces(bombed, status=500)

    assert status == 500
    assert json.loads(start)["error"]["code"] == "upstream_error"
    assert "content-encoding" not in headers
    assert resident_bytes(bombed) - before < GROWTH_BYTES


def test_a_compressed_list_of_models_is_a_502(ill: tuple[Gateway, FakeVllm]) -> None:
    gateway, fake = ill
    usual, fake.models = fake.models, (200, BOMB)
    before = resident_bytes(gateway)

    reply = gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY})

    fake.models = usual
    assert (reply.status, reply.error_code) == (502, "upstream_error")
    assert resident_bytes(gateway) - before < GROWTH_BYTES


def test_heads_as_large_as_they_may_be_leave_no_memory_behind(ill: tuple[Gateway, FakeVllm]) -> None:
    gateway, _ = ill
    headers = {f"x-ratelimit-{number}": "x" * 600 for number in range(90)}
    for _ in range(20):
        assert len(gateway.chat(stream=False, fake={"headers": headers}).headers) > 90
    before = resident_bytes(gateway)

    for _ in range(100):
        assert gateway.chat(stream=False, fake={"headers": headers}).status == 200

    assert resident_bytes(gateway) - before < GROWTH_BYTES


@pytest.mark.parametrize("stream", [True, False])
def test_nothing_that_speaks_for_the_host_reaches_any_client(
    ill: tuple[Gateway, FakeVllm], stream: bool
) -> None:
    gateway, _ = ill
    secret = "belongs-to-the-host"
    headers = {
        "Set-Cookie": f"a={secret}", "Server": secret, "Connection": "X-Foo", "X-Foo": secret, "Via": secret,
        "X-Request-Id": secret, "Location": f"http://{secret}/", "Date": secret, "X-Process-Time": secret,
    }  # fmt: skip

    with gateway.connect() as client:
        for script in ({"headers": headers}, {}):
            client.send_request("POST", CHAT, asked(stream, **script))
            assert client.read_head() == 200
            client.read_body()
            assert client.is_whole
            assert secret not in str(client.headers)
