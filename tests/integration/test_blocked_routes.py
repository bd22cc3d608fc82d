"""No route of vLLM's is reachable that is not meant to be, also with a key."""

import pytest

from tests.e2e.vllm_routes import BLOCKED, OFF, all_of
from tests.fake_vllm import FakeVllm
from tests.gateway import KEY, Gateway

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
PLAIN = {"*": ["GET", "POST"], "WEBSOCKET": ["GET"]}
REQUESTS = {
    (method, path.replace("{", "").replace("}", ""))
    for any_method, path in all_of(BLOCKED) | all_of(OFF)
    for method in PLAIN.get(any_method, [any_method])
} - {("GET", "/metrics")}  # which is the gateway's own


@pytest.mark.parametrize("headers", [{}, UPGRADE], ids=["plain", "upgrade"])
@pytest.mark.parametrize(("method", "path"), sorted(REQUESTS))
def test_a_route_that_is_only_vllms_does_not_exist_here(
    gateway: Gateway, fake: FakeVllm, method: str, path: str, headers: dict[str, str]
) -> None:
    before = len(fake.received)

    reply = gateway.request(method, path, headers={"X-API-Key": KEY, **headers})

    assert reply.status in (404, 405)
    assert [each.target for each in fake.received[before:] if each.target != "/health"] == []
