"""What a span says of a request, and what is loaded for it."""

import subprocess
import sys

import pytest

from app.logs import RequestRecord
from app.routes import RELAYED
from app.span_attributes import attributes_of, is_failure
from app.usage import Usage
from tests.local import ROOT

IMPORTED = """
import sys
from app import create_app
from app.settings import Settings
create_app(Settings(otel_exporter_otlp_endpoint={endpoint!r}))
print(sorted(name for name in sys.modules if name.startswith("opentelemetry.sdk"))[:1])
"""
CHAT, MESSAGES, EMBEDDINGS, COUNT = (
    next(route for route in RELAYED if route.path == path)
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/v1/messages/count_tokens")
)


@pytest.mark.parametrize(
    ("endpoint", "loaded"), [(None, "[]"), ("http://127.0.0.1:9", "['opentelemetry.sdk']")]
)
def test_nothing_is_loaded_where_nothing_is_traced(endpoint: str | None, loaded: str) -> None:
    program = IMPORTED.format(endpoint=endpoint)
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)

    assert (ended.stdout.strip(), ended.stderr) == (loaded, "")


@pytest.mark.parametrize(
    ("status", "outcome", "is_one"),
    [(200, "complete", False), (200, "client_gone", False), (200, "upstream_lost", True),
     (499, "client_gone", False), (401, "missing_or_invalid_key", False),
     (503, "model_loading", True), (502, "upstream_error", True)],
)  # fmt: skip
def test_only_what_is_not_the_clients_doing_is_a_failure(status: int, outcome: str, is_one: bool) -> None:
    record = RequestRecord(status=status, outcome=outcome)

    assert is_failure(record) is is_one
    assert ("error.type" in attributes_of(record, CHAT)) is is_one


def test_what_a_request_does_has_the_conventions_name() -> None:
    record = RequestRecord(model="m", usage=Usage(3, 2, 1))
    names = [
        attributes_of(record, r).get("gen_ai.operation.name") for r in (CHAT, MESSAGES, EMBEDDINGS, COUNT)
    ]

    assert names == ["chat", "chat", "embeddings", None]


def test_what_is_not_known_is_not_told() -> None:
    told = attributes_of(RequestRecord(method="POST", route=CHAT.path, status=401), CHAT)

    assert None not in told.values()
    assert not [name for name in told if name.startswith("gen_ai.")]


def test_counts_of_zero_are_told() -> None:
    told = attributes_of(RequestRecord(model="m", usage=Usage()), CHAT)

    assert told["gen_ai.usage.cache_read.input_tokens"] == 0
    assert told["vllm_gateway.usage_is_partial"] is False
