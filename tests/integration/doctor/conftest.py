"""A gateway of one worker in front of a scripted model server, for a module's tests."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.client import KEY
from tests.examined import ADMIN_KEY, OTHER_KEY, CapableVllm
from tests.fake_vllm import FakeVllmThread
from tests.front import Front
from tests.gateway import Gateway

KEYS = {"tester": KEY, "other": OTHER_KEY, "operator": {"key": ADMIN_KEY, "scopes": ["admin"]}}


@pytest.fixture(scope="module")
def model_server() -> Iterator[CapableVllm]:
    with FakeVllmThread(fake=CapableVllm()) as running:
        fake = running.fake
        assert isinstance(fake, CapableVllm)
        fake.url = running.url  # type: ignore[attr-defined]
        yield fake


@pytest.fixture
def model(model_server: CapableVllm) -> Iterator[CapableVllm]:
    """The model server, to be changed by one test."""
    kept = dict(vars(model_server))
    yield model_server
    vars(model_server).update(kept, defaults={"events": 40, "interval": 0.01})


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, model_server: Any) -> Callable[..., Gateway]:
    def begin(url: str = "", **settings: Any) -> Gateway:
        folder = tmp_path_factory.mktemp("gateway")
        (folder / "keys.json").write_text(json.dumps(KEYS))
        return Gateway(folder, url or model_server.url, WEB_CONCURRENCY=1, **settings)

    return begin


@pytest.fixture(scope="module")
def gateway(start: Callable[..., Gateway]) -> Iterator[Gateway]:
    with start() as running:
        running.wait_ready()
        yield running


@pytest.fixture
def url(gateway: Gateway) -> str:
    return f"http://127.0.0.1:{gateway.port}"


@pytest.fixture
def front(gateway: Gateway) -> Iterator[Front]:
    with Front(gateway.port) as running:
        yield running
