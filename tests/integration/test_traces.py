"""A request has a place in its trace: in the log, before the upstream, and as a span where these are sent."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.throttle import PER_MINUTE
from tests.client import KEY, Reply
from tests.fake_collector import FakeCollector
from tests.fake_vllm import FakeVllmThread, Received
from tests.gateway import KEYS_OF_TESTS, Gateway, chat_body, wait_until
from tests.strangers import ask_wrong

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"  # pragma: allowlist secret
SAMPLED = f"00-{TRACE}-{PARENT}-01"
SERVER = 2
Sent = Callable[[Reply], dict[str, str]]


@pytest.fixture(scope="module")
def collector() -> Iterator[FakeCollector]:
    with FakeCollector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(
    tmp_path_factory: pytest.TempPathFactory, upstream: FakeVllmThread, collector: FakeCollector
) -> Iterator[Gateway]:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=of%20the%20collector",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    with Gateway(tmp_path_factory.mktemp("traced"), upstream.url, **settings) as running:
        running.wait_ready()
        yield running


def chat(gateway: Gateway, *, key: str = KEY, body: Any = None, **fields: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    wanted = body or chat_body(stream=True)
    return gateway.request("POST", "/v1/chat/completions", wanted, {"X-API-Key": key, **named})


@pytest.fixture
def sent_up(received: Callable[[str], Received]) -> Sent:
    """The header fields that the upstream got of a request."""
    return lambda reply: {name.lower(): value for name, value in received(reply.request_id).headers}


def span_of(collector: FakeCollector, reply: Reply) -> dict[str, Any]:
    span: dict[str, Any] = wait_until(
        lambda: collector.span(vllm_gateway__request_id=reply.request_id), seconds=10
    )
    return span


def test_a_trace_of_the_client_is_in_the_log_and_goes_up_as_it_is(gateway: Gateway, sent_up: Sent) -> None:
    reply = chat(gateway, traceparent=SAMPLED, tracestate="congo=t61")

    line = gateway.log_line(message="request", request_id=reply.request_id)
    assert (line["trace_id"], line["span_id"]) == (TRACE, PARENT)
    fields = sent_up(reply)
    assert (fields["traceparent"], fields["tracestate"]) == (SAMPLED, "congo=t61")


def test_the_field_of_cloud_run_counts_where_no_other_is(gateway: Gateway, sent_up: Sent) -> None:
    reply = chat(gateway, X_Cloud_Trace_Context=f"{TRACE}/{int(PARENT, 16)};o=1")

    line = gateway.log_line(message="request", request_id=reply.request_id)
    assert (line["trace_id"], line["span_id"]) == (TRACE, PARENT)
    assert sent_up(reply)["traceparent"] == SAMPLED


@pytest.mark.parametrize("fields", [{}, {"traceparent": "00-0-0-00", "tracestate": "congo=t61"}])
def test_without_a_trace_nothing_speaks_of_one(
    gateway: Gateway, sent_up: Sent, fields: dict[str, str]
) -> None:
    reply = chat(gateway, **fields)

    line = gateway.log_line(message="request", request_id=reply.request_id)
    assert not {"trace_id", "span_id"} & line.keys()
    assert not {"traceparent", "tracestate"} & sent_up(reply).keys()


def test_a_request_is_one_span_that_says_what_it_was(traced: Gateway, collector: FakeCollector) -> None:
    began = time.time()
    reply = chat(traced, body=chat_body(stream=True, fake={"before_head": 1.0}))
    ended = time.time()
    span = span_of(collector, reply)

    line = traced.log_line(message="request", request_id=reply.request_id)
    told = span["attributes"]
    assert (span["name"], span["kind"], span["is_error"]) == ("POST /v1/chat/completions", SERVER, False)
    assert {name: told[name] for name in told if name.startswith("http.")} == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
    }
    assert (told["gen_ai.operation.name"], told["gen_ai.request.model"]) == ("chat", "fake/model-1")
    assert told["gen_ai.request.stream"] is True
    assert told["gen_ai.usage.input_tokens"] == line["prompt_tokens"]
    assert told["gen_ai.usage.output_tokens"] == line["completion_tokens"]
    assert told["gen_ai.usage.cache_read.input_tokens"] == line["cached_tokens"]
    assert abs(told["gen_ai.response.time_to_first_chunk"] * 1000 - line["first_byte_ms"]) < 0.1
    assert (told["vllm_gateway.outcome"], told["vllm_gateway.key.name"]) == ("complete", "tester")
    assert "error.type" not in told
    # Two clocks are read one after the other, and a busy machine may do something else between.
    assert abs(span["seconds"] * 1000 - line["duration_ms"]) < 500 < line["duration_ms"]
    assert began <= span["ended_at"] <= ended + 0.5
    assert span["resource"]["service.name"] == "vllm-gateway"
    assert span["resource"]["deployment.environment.name"] == "test"


def test_the_span_is_the_clients_child_and_the_upstreams_parent(
    traced: Gateway, collector: FakeCollector, sent_up: Sent
) -> None:
    reply = chat(traced, traceparent=SAMPLED, tracestate="congo=t61")
    span = span_of(collector, reply)

    assert (span["trace_id"], span["parent_id"], span["state"]) == (TRACE, PARENT, "congo=t61")
    fields = sent_up(reply)
    assert fields["traceparent"] == f"00-{TRACE}-{span['span_id']}-01"
    assert fields["tracestate"] == "congo=t61"
    line = traced.log_line(message="request", request_id=reply.request_id)
    assert (line["trace_id"], line["span_id"]) == (TRACE, span["span_id"])


def test_a_request_without_a_trace_begins_one(
    traced: Gateway, collector: FakeCollector, sent_up: Sent
) -> None:
    reply = chat(traced)
    span = span_of(collector, reply)

    assert span["parent_id"] == ""
    line = traced.log_line(message="request", request_id=reply.request_id)
    assert (line["trace_id"], line["span_id"]) == (span["trace_id"], span["span_id"])
    sent = sent_up(reply)["traceparent"]
    assert re.fullmatch(rf"00-{span['trace_id']}-{span['span_id']}-0[13]", sent)


def test_what_a_client_does_not_record_is_not_recorded_but_goes_on(
    traced: Gateway, collector: FakeCollector, sent_up: Sent
) -> None:
    unsampled = chat(traced, traceparent=f"00-{TRACE}-{PARENT}-00")
    span_of(collector, chat(traced))

    assert collector.span(vllm_gateway__request_id=unsampled.request_id) is None
    line = traced.log_line(message="request", request_id=unsampled.request_id)
    sent = sent_up(unsampled)["traceparent"]
    assert sent == f"00-{TRACE}-{line['span_id']}-00"
    assert line["span_id"] != PARENT


def test_a_failure_of_the_upstream_is_an_error(traced: Gateway, collector: FakeCollector) -> None:
    reply = chat(traced, body=chat_body(stream=True, fake={"status": 500}))
    span = span_of(collector, reply)

    assert span["is_error"]
    assert span["attributes"]["http.response.status_code"] == reply.status
    assert span["attributes"]["error.type"] == "upstream_refused"


@pytest.mark.parametrize(
    ("target", "key", "status"), [("/v1/models", "sk-wrong-1", 401), ("/admin/status", KEY, 403)]
)
def test_a_refusal_has_a_span_and_is_no_error(
    traced: Gateway, collector: FakeCollector, target: str, key: str, status: int
) -> None:
    reply = traced.request("GET", target, headers={"X-API-Key": key})
    span = span_of(collector, reply)

    assert (span["name"], span["is_error"]) == (f"GET {target}", False)
    assert span["attributes"]["http.response.status_code"] == status


def test_one_model_is_a_route_too(traced: Gateway, collector: FakeCollector) -> None:
    reply = traced.request("GET", "/v1/models/fake%2Fmodel-1", headers={"X-API-Key": KEY})

    assert span_of(collector, reply)["name"] == "GET /v1/models/{id}"


def test_health_and_what_does_not_exist_is_not_traced(traced: Gateway, collector: FakeCollector) -> None:
    replies = [traced.request("GET", target) for target in ("/health", "/health/live", "/v1/nothing")]
    span_of(collector, chat(traced))

    for reply in replies:
        assert collector.span(vllm_gateway__request_id=reply.request_id) is None


def test_no_key_and_no_text_leaves_with_a_span(traced: Gateway, collector: FakeCollector) -> None:
    secret = "what I have never told anybody"
    body = {**chat_body(stream=False), "messages": [{"role": "user", "content": secret}]}
    span = span_of(collector, chat(traced, body=body, X_Request_Id=KEY))

    assert not KEYS_OF_TESTS.search(str(span).encode())
    assert secret not in str(collector.spans)


def test_the_collector_is_told_what_it_wants(traced: Gateway, collector: FakeCollector) -> None:
    span_of(collector, chat(traced))

    head = {name.lower(): value for name, value in collector.heads[-1].items()}
    assert (head["path"], head["api-key"]) == ("/v1/traces", "of the collector")
    assert head["content-type"] == "application/x-protobuf"
    assert "of the collector" not in traced.log_file.read_text()


def test_a_share_of_all_traces_may_be_recorded(
    tmp_path: Path, upstream: FakeVllmThread, collector: FakeCollector
) -> None:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": "half",
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.5",
    }
    with Gateway(tmp_path, upstream.url, WEB_CONCURRENCY=1, **settings) as gateway:
        gateway.wait_ready()
        for number in range(32):  # the lower half of an id decides
            lower = number * 2**59
            chat(gateway, traceparent=f"00-{1:016x}{lower:016x}-{PARENT}-01")
        wait_until(lambda: len(of_service(collector, "half")) >= 16, seconds=10)
    assert len(of_service(collector, "half")) == 16


def test_strangers_have_no_more_spans_than_lines(
    tmp_path: Path, upstream: FakeVllmThread, collector: FakeCollector
) -> None:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "strangers"}
    tries = PER_MINUTE + 3
    with Gateway(tmp_path, upstream.url, WEB_CONCURRENCY=1, **settings) as gateway:
        gateway.wait_ready()
        with gateway.connect() as client:
            ask_wrong(client, tries)
        span_of(collector, chat(gateway))  # spans are sent in their order
        lines = gateway.log_lines(message="request", status=401)

    assert len(of_service(collector, "strangers")) == len(lines) + 1 <= tries


def of_service(collector: FakeCollector, name: str) -> list[dict[str, Any]]:
    return [span for span in collector.spans if span["resource"]["service.name"] == name]
