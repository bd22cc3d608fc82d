"""What a request's span says, by OpenTelemetry's semantic conventions where they have a word for it.

Those for HTTP are stable; those for generative AI (`gen_ai.*`) are in development.
https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and …/gen-ai/gen-ai-spans/
"""

from typing import Any

from app.logs import RequestRecord, clean, clean_known
from app.relay import GONE
from app.routes import Api, Route

OPERATIONS = {
    Api.CHAT: "chat",
    Api.RESPONSES: "chat",
    Api.MESSAGES: "chat",
    Api.COMPLETIONS: "text_completion",
}
OPERATIONS_BY_PATH = {"/v1/embeddings": "embeddings", "/v1/messages/count_tokens": None}


def is_failure(record: RequestRecord) -> bool:
    """Whether the gateway or what is behind it failed; a client's mistake, or its leaving, is none."""
    return record.status >= 500 or (record.status < 400 and record.outcome not in ("complete", GONE))


def attributes_of(record: RequestRecord, route: Route) -> dict[str, Any]:
    """What is known of a request at its end. Its key by name and id; no prompt and no answer."""
    known = {**_of_http(record), **_of_gateway(record), **_of_generation(record, route)}
    return {name: value for name, value in known.items() if value is not None}


def _of_http(record: RequestRecord) -> dict[str, Any]:
    return {
        "http.request.method": record.method,
        "http.route": record.route,
        "url.path": record.route,  # as the table has it: what else stands in a target is the client's
        "url.scheme": "http",
        "http.response.status_code": record.status,
        "client.address": clean(record.peer),
        "error.type": record.outcome if is_failure(record) else None,
    }


def _of_gateway(record: RequestRecord) -> dict[str, Any]:
    return {
        "vllm_gateway.outcome": record.outcome,
        "vllm_gateway.request_id": record.request_id,
        "vllm_gateway.key.name": clean_known(record.key_name),
        "vllm_gateway.key.id": clean_known(record.key_id),
        "vllm_gateway.usage_is_partial": record.usage and record.usage.is_partial,
    }


def _of_generation(record: RequestRecord, route: Route) -> dict[str, Any]:
    """What the model was asked for, once that is known, and what it took; times in seconds."""
    if record.model is None:
        return {}
    first_byte, usage = record.first_byte_at, record.usage
    return {
        "gen_ai.operation.name": OPERATIONS_BY_PATH.get(route.path, OPERATIONS.get(route.api)),
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": record.model,
        "gen_ai.request.stream": record.is_stream,
        "gen_ai.response.time_to_first_chunk": first_byte and first_byte - record.started,
        "gen_ai.usage.input_tokens": usage and usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage and usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage and usage.cached_tokens,
    }
