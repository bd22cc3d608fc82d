"""Only what the table names exists; everything else never reaches the upstream."""

import json

import pytest

from app.routes import OWN, RELAYED, TABLE
from tests.fake_vllm import FakeVllm
from tests.gateway import KEY, Gateway
from tests.oracle import check_error_shape

SPELLINGS = [
    "/pause", "/invocations", "/metrics/", "/metrics%2fvllm", "/docs", "/openapi.json", "/version", "/load",
    "/ping", "/v1",
    "/v1/", "/", "/v1/../pause", "/v1/%2e%2e/pause", "/v1/chat/../../pause", "/v1/models/../../pause",
    "/v1/models/%2e%2e/%2e%2e/pause", "/v1/models/..%2f..%2fpause", "/v1/models/", "/v1/models//",
    "/v1/models/a//b", "/v1/models/a%252Fb", "/v1/models/a%00b", "/v1//chat/completions",
    "//v1/chat/completions", "/v1/chat/completions/", "/V1/chat/completions", "/v1/Chat/Completions",
    "/v1/chat%2Fcompletions", "/%76%31/models", "/v1/chat/completions;x=1", "/v1/chat/completions#/x",
    "/v1/chat/completions%00", "/v1/chat/completions%20", "/v1/chat\\completions", "/./v1/models",
    "/v1/./models", "http://gateway/v1/models", "/v1/chat/completions/batch", "/v1/load_lora_adapter",
    "/abort_requests", "/inference/v1/generate", "/healthz", "/health/", "/health/../pause",
    "/admin/reload-keys/", "/admin/../pause", "/tokenize/../pause", "/v1/models/..", "/v1/models/.",
    "/v1/models/a/..", "/v1/models/a/../../..", "/v1/models/%2e%2e", "/v1/models/a%2f..%2fb",
    "/v1/models/a%2f%2fb", "/v1/models/%2fa", "/v1/models/%5c..%5cpause", "/v1/models/..;/pause",
    "/v1/models/\\..\\pause", "/v1/models/%252e%252e", "/v1/models/a%3fb", "/v1/models/a%23b",
    "/v1/models/%u002e", "/v1/models/a%0a", "/v1/models%3fx", "/v1/models%23", "/v1/models%3b",
    "/v1/models.json", "/v1/models*", "/v1/models'", "/v1/models~", "/v1\\models", "/%2fv1/models",
    "/%2e/v1/models", "/;/v1/models", "/v1;/models", "/v1/completions/../chat/completions",
    "/v1/./chat/completions", "/v1/chat/completions//", "/v1/chat/completions/.",
    "/v1/chat/completions/%2e", "/v1/chat/completions%2f", "/v1/chat/completions%3f",
    "/v1/chat/completions%09", "/v1/chat/completions%0d%0a", "/tokenize%0a", "/TOKENIZE",
    "/health/live/", "/health//live", "//health/live", "/health/live%00", "/health/live;x",
    "/HEALTH/live", "/health/Live", "/health/live/../../pause", "/admin", "/admin//", "/admin//status",
    "/admin/status/", "/Admin/status", "/admin/status%2f", "/admin/status/..", "/server_info", "/sleep",
    "/wake_up", "/is_paused", "/resume", "/rerank", "/v1/score", "/classify", "/pooling",
    "/scale_elastic_ep", "/update_weights", "/collective_rpc", "/redoc", "/reset_prefix_cache",
    "/start_profile", "/tokenizer_info", "/v1/unload_lora_adapter", "/v1/audio/speech", "/v1/realtime",
    "/static/app.js", "/favicon.ico", "/robots.txt", "/.env", "/.git/config", "/wsgi.py", "/console",
    "/wp-login.php", "/cgi-bin/sh", "/?/v1/models", "/#/v1/models",
    "/v1/models/" + "a/" * 500,
]  # fmt: skip


def upstream_targets(fake: FakeVllm) -> set[str]:
    return {received.target for received in fake.received}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("target", SPELLINGS)
def test_a_target_outside_the_table_is_a_404_without_contact(
    gateway: Gateway, fake: FakeVllm, method: str, target: str
) -> None:
    before = len(fake.received)
    with gateway.connect() as client:
        client.send_request(method, target, {"model": "m"} if method == "POST" else None)
        status = client.read_head()
        error = json.loads(client.read_body())["error"]

    own_probes = [r for r in fake.received[before:] if r.target != "/health"]
    assert own_probes == []
    assert (status, error["code"]) == (404, "route_not_found")
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"])
@pytest.mark.parametrize("route", RELAYED, ids=lambda route: route.path)
def test_another_method_is_a_405_that_names_the_right_one(
    gateway: Gateway, fake: FakeVllm, method: str, route: object
) -> None:
    before = len(fake.received)

    reply = gateway.request(method, route.path, headers={"X-API-Key": KEY})  # type: ignore[attr-defined]

    assert reply.status == 405
    assert reply.headers["allow"] == "POST"
    assert not [r for r in fake.received[before:] if r.target != "/health"]


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "HEAD"]
)
@pytest.mark.parametrize("path", sorted(TABLE))
def test_every_route_takes_its_methods_and_no_other(gateway: Gateway, path: str, method: str) -> None:
    reply = gateway.request(method, path)

    if method in TABLE[path]:
        assert reply.status in ((403,) if path == "/admin/login" and method == "POST" else (200, 401))
    else:
        assert (reply.status, reply.headers["allow"]) == (405, ", ".join(sorted(TABLE[path])))
        if method != "HEAD":
            check_error_shape(reply.json(), path)
    assert "location" not in reply.headers


def test_head_of_a_route_has_no_body(gateway: Gateway) -> None:
    reply = gateway.request("HEAD", "/v1/models", headers={"X-API-Key": KEY})

    assert (reply.status, reply.body) == (405, b"")


@pytest.mark.parametrize("route", RELAYED, ids=lambda route: route.path)
def test_every_relayed_route_reaches_exactly_its_own_path(gateway: Gateway, received, route) -> None:
    reply = gateway.post(route.path + "?beta=true", {"model": "m"})

    assert reply.status == 200
    assert received(reply.request_id).target == route.path


@pytest.mark.parametrize("route", [r for r in RELAYED if not r.streams], ids=lambda route: route.path)
def test_a_route_without_streams_answers_whole_whatever_stream_says(gateway: Gateway, route) -> None:
    reply = gateway.post(route.path, {"model": "m", "stream": True})

    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")


def test_every_route_of_the_table_is_known_to_flask(gateway: Gateway) -> None:
    for route in OWN:
        reply = gateway.request(route.method, route.path, headers={"X-API-Key": KEY})
        assert reply.status not in (404, 405), route


def test_model_list_has_no_path_of_the_host(gateway: Gateway) -> None:
    reply = gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY})

    assert [card["id"] for card in reply.json()["data"]] == ["fake/model-1", "plain-alias"]
    assert reply.json()["data"][0]["max_model_len"] == 32768
    assert b"/secret" not in reply.body


@pytest.mark.parametrize("spelling", ["fake/model-1", "fake%2Fmodel-1", "fake%2fmodel-1", "plain-alias"])
def test_one_model_is_found_however_its_slash_is_sent(gateway: Gateway, spelling: str) -> None:
    reply = gateway.request("GET", f"/v1/models/{spelling}", headers={"X-API-Key": KEY})

    assert reply.status == 200
    assert reply.json()["object"] == "model"
    assert b"/secret" not in reply.body


def test_an_unknown_model_is_a_404(gateway: Gateway) -> None:
    reply = gateway.request("GET", "/v1/models/no-such-model", headers={"X-API-Key": KEY})

    assert (reply.status, reply.error_code) == (404, "model_not_found")


def test_errors_on_messages_have_the_shape_of_anthropic(gateway: Gateway) -> None:
    reply = gateway.post("/v1/messages", {"model": "m"}, key="sk-wrong")

    assert reply.status == 401
    assert reply.json()["type"] == "error"
    assert reply.json()["error"]["type"] == "authentication_error"
