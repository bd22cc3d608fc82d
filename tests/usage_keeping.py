"""What tests of the kept usage ask of a gateway, and what it says of its writing."""

from collections.abc import Callable
from typing import Any

from tests.gateway import Gateway
from tests.usage_traffic import KEYS, ask_usage

BEGINS, ENDS = "usage is not written; it is kept in memory", "usage is written again"
NOTICE_SECONDS = 15.0  # until the next write has been tried
Start = Callable[..., Gateway]


def ask(gateway: Gateway, times: int = 5) -> None:
    """Requests that succeed."""
    for _ in range(times):
        body = {
            "model": "fake/model-1",
            "messages": [{"role": "user", "content": "hi"}],
            "fake": {"events": 4},
        }
        assert gateway.post("/v1/chat/completions", body, KEYS["tester"]).status == 200


def counted(gateway: Gateway) -> int:
    return int(ask_usage(gateway)["totals"]["requests"])


def told(gateway: Gateway, message: str) -> list[dict[str, Any]]:
    return gateway.log_lines(logger="gateway.usage", message=message)


def end(gateway: Gateway) -> None:
    gateway.process.terminate()
    assert gateway.process.wait(15) == 0
