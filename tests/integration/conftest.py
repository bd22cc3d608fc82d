"""A gateway with two workers in front of a fake vLLM, shared by the tests of a session."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from tests.entrypoint import Entrypoint
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.fake_vllm import FakeVllm, FakeVllmThread, Received
from tests.fault_proxy import FaultProxy, Faults
from tests.gateway import Gateway, wait_until
from tests.keys_place import KeysPlace
from tests.page import Page
from tests.secret_client import open_client, secret_settings
from tests.truth import TruthOf, truth_finder
from tests.usage_keeping import Start
from tests.usage_traffic import write_keys


@pytest.fixture(scope="session")
def upstream() -> Iterator[FakeVllmThread]:
    """The fake vLLM of the session."""
    with FakeVllmThread() as running:
        yield running


@pytest.fixture(scope="session")
def fake(upstream: FakeVllmThread) -> FakeVllm:
    """What the fake vLLM has received and sent."""
    return upstream.fake


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: FakeVllmThread) -> Iterator[Gateway]:
    """The gateway of the session; tests that change it start one of their own."""
    with Gateway(tmp_path_factory.mktemp("gateway"), upstream.url) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def page(gateway: Gateway) -> Page:
    """Who has logged in at the status page of the module's gateway, whose keys have one for that."""
    page = Page(gateway)
    assert page.log_in().status == 303
    return page


@pytest.fixture(scope="session")
def proxy(upstream: FakeVllmThread) -> Iterator[FaultProxy]:
    """A way to the fake vLLM on which bytes can come to harm."""
    with FaultProxy(upstream.port) as running:
        yield running


@pytest.fixture(scope="session")
def harmed(tmp_path_factory: pytest.TempPathFactory, proxy: FaultProxy) -> Iterator[Gateway]:
    """A gateway of one worker that reaches the fake vLLM through the proxy."""
    with Gateway(tmp_path_factory.mktemp("harmed"), proxy.url, WEB_CONCURRENCY=1) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def faults(proxy: FaultProxy) -> Iterator[Faults]:
    """What the proxy does to answers, for one test."""
    proxy.faults = Faults()
    yield proxy.faults
    proxy.faults = Faults()


@pytest.fixture(scope="session")
def truth_of(harmed: Gateway, proxy: FaultProxy) -> TruthOf:
    """The true answer of a case."""
    return truth_finder(harmed, proxy)


@pytest.fixture(params=["file", "secret"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeysPlace]:
    """Keys in a file, and then in a secret."""
    if request.param == "file":
        yield KeysPlace(tmp_path, None)
    else:
        with FakeSecretManagerThread() as running:
            yield KeysPlace(None, running)


StartGateway = Callable[..., Gateway]


@pytest.fixture(scope="module")
def gateway_of(
    tmp_path_factory: pytest.TempPathFactory, upstream: FakeVllmThread
) -> Iterator[Callable[[Any], Gateway]]:
    """Start a gateway for the tests of a module, with a key file of their own."""
    with ExitStack() as stack:

        def start(keys: Any) -> Gateway:
            folder = tmp_path_factory.mktemp("keys")
            (folder / "keys.json").write_text(json.dumps(keys))
            gateway = stack.enter_context(Gateway(folder, upstream.url))
            gateway.wait_ready()
            return gateway

        yield start


@pytest.fixture
def start_gateway(tmp_path: Path, upstream: FakeVllmThread) -> Iterator[StartGateway]:
    """Start a gateway with settings of the test's own."""
    with ExitStack() as stack:

        def start(upstream_url: str = upstream.url, **settings: Any) -> Gateway:
            return stack.enter_context(Gateway(tmp_path, upstream_url, **settings))

        yield start


@pytest.fixture
def secret_manager() -> Iterator[FakeSecretManagerThread]:
    """A Secret Manager of the test's own."""
    with FakeSecretManagerThread() as running:
        yield running


@pytest.fixture
def client(secret_manager: FakeSecretManagerThread) -> Iterator[SecretManagerServiceClient]:
    """Google's own client of it."""
    with open_client(secret_manager.port) as opened:
        yield opened


@pytest.fixture
def start_on_secret(
    start_gateway: StartGateway, secret_manager: FakeSecretManagerThread
) -> Callable[..., Gateway]:
    """Start a gateway that has its keys from that Secret Manager."""

    def start(**settings: Any) -> Gateway:
        place = secret_settings(secret_manager)
        return start_gateway(API_KEYS_FILE="", **{**place, **settings})

    return start


@pytest.fixture
def received(fake: FakeVllm) -> Callable[[str], Received]:
    """What the upstream received for a request id of the gateway."""

    def find(request_id: str) -> Received:
        return wait_until(lambda: next((r for r in fake.received if r.request_id == request_id), None))

    return find


@pytest.fixture
def start_both(tmp_path: Path) -> Iterator[Any]:
    """Start entrypoint.sh, with a stand-in for vLLM, with settings of the test's own."""
    with ExitStack() as stack:

        def enter(**settings: Any) -> Entrypoint:
            entrypoint = stack.enter_context(Entrypoint(tmp_path, **settings))
            entrypoint.remember_family()
            return entrypoint

        yield enter


@pytest.fixture
def both(start_both: Any) -> Entrypoint:
    """The gateway and the stand-in under entrypoint.sh, ready."""
    entrypoint: Entrypoint = start_both()
    entrypoint.wait_ready()
    return entrypoint


@pytest.fixture
def start_keeping(tmp_path: Path, upstream: FakeVllmThread) -> Iterator[Start]:
    """Start gateways that keep usage, each in a folder of its own."""
    with ExitStack() as stack:

        def begin(**settings: Any) -> Gateway:
            folder = tmp_path / f"gateway-{time.monotonic_ns()}"
            folder.mkdir()
            write_keys(folder)
            gateway = stack.enter_context(Gateway(folder, upstream.url, **settings))
            gateway.wait_ready()
            return gateway

        yield begin
