"""Each fault of the gateway, of its state or of what is in its place is named."""

import re
from collections.abc import Callable
from typing import Any

from tests.client import KEY
from tests.examined import ADMIN_KEY, IDENTITY_TOKEN, CapableVllm, examine
from tests.fake_vllm import FakeVllmThread
from tests.front import Front, Passing, Tampering
from tests.gateway import Gateway, wait_until


def test_keys_that_may_not_are_told_apart(url: str) -> None:
    for key, code in (("sk-unknown-0123456789abcdef", "key_refused"), (ADMIN_KEY, "key_scope"),
                      ("", "key_empty"), (f'"{KEY}"', "key_quoted"), (f"{KEY}\n", "key_line_end"),
                      (IDENTITY_TOKEN, "key_is_token")):  # fmt: skip
        found = examine(url, key=key)

        assert (found.status, found.troubles) == (1, [code])


def test_a_model_that_is_not_there_is_named(url: str) -> None:
    found = examine(url, "--model", "org/other")

    assert (found.status, found.troubles) == (1, ["model_unknown"])
    assert "fake/model-1" in found.finding("model")["fix"]


def test_a_cap_below_what_opencode_asks_for_is_named(start: Callable[..., Gateway]) -> None:
    with start(MAX_OUTPUT_TOKENS=1000, MAX_REQUEST_BYTES=2_000_000) as gateway:
        gateway.wait_ready()
        found = examine(f"http://127.0.0.1:{gateway.port}")

    assert (found.status, found.troubles) == (1, ["max_tokens_refused"])


def test_a_server_without_a_gateway_is_named(model_server: Any) -> None:
    found = examine(model_server.url)

    assert (found.status, found.troubles) == (1, ["vllm_bare"])


def test_a_model_that_loads_too_long_is_named(start: Callable[..., Gateway]) -> None:
    with FakeVllmThread() as upstream:
        upstream.fake.health_status = 503
        with start(upstream.url) as gateway:
            found = examine(f"http://127.0.0.1:{gateway.port}")

    assert (found.status, found.troubles) == (1, ["still_loading"])
    assert re.search(r"\(loading\) after [1-5] s", found.finding("model ready")["text"])


def test_a_model_that_loads_is_waited_for(start: Callable[..., Gateway], model: CapableVllm) -> None:
    model.health_status = 503
    with start() as gateway, Front(gateway.port) as front:

        def get_ready(passing: Passing) -> None:
            if [each.path for each in front.seen].count("/health/ready") == 2:
                model.health_status = 200

        front.tampering = Tampering(get_ready)
        found = examine(front.url, "--wait", "30")

    assert found.troubles == []
    assert "s of waiting" in found.finding("model ready")["text"]


def test_a_model_server_that_is_gone_is_named(start: Callable[..., Gateway]) -> None:
    with FakeVllmThread() as upstream, start(upstream.url) as gateway:
        gateway.wait_ready()
        upstream.fake.health_status = 500
        wait_until(lambda: gateway.request("GET", "/health/ready").status == 503, 20)
        found = examine(f"http://127.0.0.1:{gateway.port}")

    assert (found.status, found.troubles) == (1, ["upstream_down"])
