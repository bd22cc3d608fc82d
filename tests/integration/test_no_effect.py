"""What a client says about itself, its way or its wishes in header fields changes nothing."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from random import randrange
from typing import Any

import pytest

from tests.client import KEY, RawClient
from tests.client_requests import without_salt
from tests.fake_vllm import FakeVllm, FakeVllmThread
from tests.gateway import READY_SECONDS, Gateway, wait_until

CHAT = "/v1/chat/completions"
BODY = b'{"model":"m"}'
OTHER_HOST = "203.0.113.9"
CLAIMS = [
    f"X-Forwarded-For: {OTHER_HOST}", f"X-Real-IP: {OTHER_HOST}", f"True-Client-IP: {OTHER_HOST}",
    f"Forwarded: for={OTHER_HOST};host=evil;proto=https", f"X-Client-IP: {OTHER_HOST}",
    "X-Forwarded-For: ::1", f"X_Forwarded_For: {OTHER_HOST}", f"REMOTE_ADDR: {OTHER_HOST}",
    f"Remote-Addr: {OTHER_HOST}", "X-Forwarded-Proto: https", "X-Forwarded-Protocol: ssl",
    "X-Forwarded-Ssl: on", "X-Forwarded-Scheme: https",
    "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off", "Front-End-Https: on",
    "wsgi.url_scheme: https", "X-Forwarded-Host: evil", "X-Host: evil", "X-Forwarded-Server: evil",
    "HTTP_HOST: evil", "Http-Host: evil", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /admin",
    "X-Forwarded-Path: /health/live", "Via: 1.1 evil", "X-Forwarded-Uri: /health/live",
    "X-Original-URL: /health/live", "X-Original-URI: /health/live", "X-Rewrite-URL: /health/live",
    "X-Override-URL: /health/live", "Destination: /health/live", "SCRIPT_NAME: /v1",
    "Script-Name: /v1", "SCRIPT_NAME: /health", "SCRIPT_NAME: http://evil", "Script_Name: /",
    "PATH_INFO: /health/live", "Path-Info: /health/live", "RAW_URI: /health/live",
    "Raw-Uri: /health/live", "REQUEST_URI: /health/live", "Request-Uri: /health/live",
    "QUERY_STRING: a=b", "Query-String: a=b", "X-HTTP-Method-Override: GET", "X-HTTP-Method: GET",
    "X-Method-Override: GET", "X-Original-Method: GET", "REQUEST_METHOD: GET", "Request-Method: GET",
    "X-Forwarded-Method: GET", "_method: GET", "REMOTE_USER: operator", "Remote-User: operator",
    "X-Remote-User: operator", "X-Forwarded-User: operator", "X-Auth-Request-User: operator",
    "X-Authenticated-User: operator", "X-Key-Name: operator", "X-Scopes: admin",
    "X-Goog-Authenticated-User-Email: a@b", "X-Goog-IAP-JWT-Assertion: e30.e30.e30",
    "X-Consumer-Custom-ID: 1", "User-Agent: GoogleHC/1.0", "User-Agent: kube-probe/1.30",
    "User-Agent: ELB-HealthChecker/2.0", "User-Agent: Google-Cloud-Scheduler", "X-Health-Check: 1",
    "X-Cloud-Trace-Context: 1/2;o=1", "X-Debug: 1", "Cookie: session=operator", "Upgrade: h2c",
    "X-Vllm-Priority: -1", "X-data-parallel-rank: 0", "Origin: null",
    "Access-Control-Request-Method: POST", "Range: bytes=0-1", "If-Match: x", "Max-Forwards: 0",
    "Date: x",
]  # fmt: skip


class OnSocket(Gateway):
    """The gateway at a Unix socket and nowhere else, as behind a proxy of the same machine."""

    def __init__(self, folder: Path, upstream_url: str) -> None:
        self.path = str(folder / "gateway.sock")
        bind = f"--bind unix:{self.path}"
        super().__init__(folder, upstream_url, WEB_CONCURRENCY=1, GUNICORN_CMD_ARGS=bind)

    def is_alive(self) -> bool:
        """Whether it listens."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.path) == 0

    def wait_ready(self) -> None:
        """Until the upstream has answered its first probe."""
        wait_until(self._is_ready, READY_SECONDS)

    def _is_ready(self) -> bool:
        with self.connect() as client:
            client.send_request("GET", "/health/ready")
            return client.read_head() == 200

    def connect(self) -> RawClient:
        """A bare socket to the gateway."""
        return RawClient(self.path)


@pytest.fixture(scope="module")
def on_socket(tmp_path_factory: pytest.TempPathFactory, upstream: FakeVllmThread) -> Iterator[Gateway]:
    with OnSocket(tmp_path_factory.mktemp("socket"), upstream.url) as running:
        running.wait_ready()
        yield running


@pytest.fixture(params=["tcp", "unix"])
def either(request: pytest.FixtureRequest, gateway: Gateway) -> Gateway:
    """The gateway at a port, and then at a Unix socket."""
    found: Gateway = gateway if request.param == "tcp" else request.getfixturevalue("on_socket")
    return found


def ask(gateway: Gateway, method: str, target: str, *lines: str, on: RawClient | None = None) -> Any:
    """Status, error code and id of a request with these fields."""
    with on or gateway.connect() as client:
        head = [f"{method} {target} HTTP/1.1", "Host: g", "Content-Type: application/json", *lines]
        length = [f"Content-Length: {len(BODY)}", "", ""] if method == "POST" else ["", ""]
        body = BODY if method == "POST" else b""
        client.sock.sendall("\r\n".join([*head, *length]).encode() + body)
        client.read_head()
        content = client.read_body()
    error = json.loads(content)["error"]["code"] if client.status >= 400 else None
    return client.status, error, client.request_id


def key(value: str = KEY) -> str:
    return f"X-API-Key: {value}"


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_of_a_client_changes_nothing(
    either: Gateway, fake: FakeVllm, received: Any, claim: str
) -> None:
    before = len(fake.received)

    assert ask(either, "POST", CHAT, claim)[:2] == (401, "missing_or_invalid_key")
    assert ask(either, "GET", "/pause", key(), claim)[:2] == (404, "route_not_found")
    assert ask(either, "POST", "/health/live", key(), claim)[:2] == (405, "method_not_allowed")
    assert ask(either, "GET", "/admin/status", key(), claim)[:2] == (403, "insufficient_scope")
    assert not [r for r in fake.received[before:] if r.target != "/health"]
    status, _, request_id = ask(either, "POST", CHAT, key(), claim)

    sent, line = received(request_id), either.log_line(request_id=request_id)
    assert (status, sent.method, sent.target, without_salt(sent.body)) == (200, "POST", CHAT, BODY)
    assert {name for name, _ in sent.headers} == {
        "host", "accept-encoding", "content-length", "content-type", "x-request-id"
    }  # fmt: skip
    assert dict(sent.headers)["host"].startswith("127.0.0.1:")
    assert (line["method"], line["route"], line["key_name"]) == ("POST", CHAT, "tester")
    assert line["peer"] == (None if isinstance(either, OnSocket) else "127.0.0.1")


@pytest.mark.parametrize(
    "query", ["_method=GET", "X-HTTP-Method-Override=GET", "method=GET", "_method=DELETE"]
)
def test_a_method_in_the_query_is_none(gateway: Gateway, query: str) -> None:
    assert ask(gateway, "POST", f"/health/live?{query}", key())[:2] == (405, "method_not_allowed")
    assert ask(gateway, "POST", f"{CHAT}?{query}", key())[0] == 200


@pytest.mark.parametrize("own", ["\0odd-\udcff", "named.sock"], ids=["abstract", "path"])
def test_the_name_that_a_unix_sockets_peer_has_is_no_peer(
    on_socket: Gateway, tmp_path: Path, own: str
) -> None:
    client = RawClient.__new__(RawClient)
    client.sock = socket.socket(socket.AF_UNIX)
    client.sock.bind(own.encode(errors="surrogateescape") if own.startswith("\0") else str(tmp_path / own))
    client.sock.connect(on_socket.path)  # type: ignore[attr-defined]
    client.buffer = b""

    status, _, request_id = ask(on_socket, "GET", "/nothing", on=client)

    assert status == 404
    assert on_socket.log_line(request_id=request_id)["peer"] is None


@pytest.mark.parametrize(
    "line",
    [
        "X_API_Key: {}", "X_API-Key: {}", "X-API_KEY: {}", "x_api_key: {}", "XAPIKey: {}",
        "X--API-Key: {}", "HTTP_X_API_KEY: {}", "HTTP-X-API-KEY: {}", "X-API-Key-: {}",
        "-X-API-Key: {}", "X.API.Key: {}", "Authorization_: Bearer {}",
        "HTTP_AUTHORIZATION: Bearer {}", "Http-Authorization: Bearer {}", "X-Authorization: Bearer {}",
        "X-Forwarded-Authorization: Bearer {}", "Proxy_Authorization: Bearer {}", "Api_Key: {}",
        "ApiKey: {}", "Api-Key: {}", "X-Goog-Api-Key: {}", "OpenAI-Api-Key: {}", "X-Auth-Token: {}",
        "Cookie: X-API-Key={}", "Cookie: Authorization=Bearer {}", "Referer: http://g/?api_key={}",
        "Sec-WebSocket-Protocol: openai-insecure-api-key.{}", "User-Agent: {}", "X-Other: {}",
    ],
)  # fmt: skip
def test_a_key_in_another_field_opens_nothing_and_goes_nowhere(
    gateway: Gateway, received: Any, line: str
) -> None:
    assert ask(gateway, "POST", CHAT, line.format(KEY))[:2] == (401, "missing_or_invalid_key")
    status, _, request_id = ask(gateway, "POST", CHAT, key(), line.format("sk-elsewhere-0123456789"))

    assert status == 200
    assert "sk-elsewhere" not in str(received(request_id).headers)


@pytest.mark.parametrize(
    "target",
    [
        *("/v1/models?api_key={}", "/v1/models?X-API-Key={}&key={}", "/v1/models?access_token={}"),
        *("/v1/models/{}", "/{}/v1/models", "/v1/models;key={}", "/v1/models#{}", "/admin/status?key={}"),
    ],
)
def test_a_key_in_the_target_opens_nothing_and_is_not_logged(gateway: Gateway, target: str) -> None:
    source = f"127.{randrange(1, 255)}.0.1"  # one that has sent too many wrong keys would have no line
    client = RawClient(gateway.port, source=source)

    status, _, request_id = ask(gateway, "GET", target.replace("{}", KEY), on=client)

    assert status in (401, 404)
    assert gateway.log_line(message="request", request_id=request_id)
    assert KEY not in json.dumps(gateway.log_lines(request_id=request_id))
