"""One line for each request, whatever the request holds; of a malformed one, no more than is known of it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.client import KEY
from tests.fake_vllm import FakeVllmThread
from tests.gateway import Gateway, wait_until

CHAT = "/v1/chat/completions"
UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
MODELS = {
    "lines": 'm\r\n{"severity":"ERROR","message":"forged"}\n', "colour": "\x1b[31mm\x1b[0m", "NUL": "m\0m",
    "C1": "m\x9b2Jm", "separators": "m\u2028m\u2029m", "right to left": "\u202em\u2066", "quotes": '"}\\"\\',
    "percent": "%s%d%(asctime)s{}{0}", "tab": "m\tm", "high": "😀é模型", "long": "m" * 100_000, "empty": "",
}  # fmt: skip
FIELDS = {
    "tab": b"a\tb", "C1": b"a\x9b2Jb", "NEL": b"a\x85b", "a separator": "a\u2028b".encode(),
    "high": b"\xff\xfe", "quotes": b'"},{"a":"', "percent": b"%s%d", "long": b"a" * 8000,
}  # fmt: skip


@pytest.fixture(scope="module", params=["json", "text"])
def logging_gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: FakeVllmThread
) -> Iterator[Gateway]:
    """A gateway of one worker behind a proxy, with a log in either format."""
    settings = {"WEB_CONCURRENCY": 1, "TRUSTED_PROXY_HOPS": 1, "LOG_FORMAT": request.param}
    with Gateway(tmp_path_factory.mktemp("lines"), upstream.url, **settings) as running:
        running.wait_ready()
        yield running


def check_one_line(gateway: Gateway, raw: bytes) -> str:
    """Send it, and find the one line that tells of it."""
    before = len(gateway.log_file.read_bytes())
    with gateway.connect() as client:
        client.sock.sendall(raw)
        client.read_head()
        client.read_body()
        client.sock.shutdown(1)
        client.read_to_end()
    written = gateway.log_file.read_bytes()[before:].decode()
    assert written.endswith("\n")
    line = written.removesuffix("\n")
    assert not UNWANTED.search(line)
    if gateway.environ["LOG_FORMAT"] == "json":
        content = json.loads(line)
        assert (content["message"], content["request_id"]) == ("request", client.request_id)
        assert all(len(value) <= 200 for value in content.values() if isinstance(value, str))
    assert len(line) < 2000
    return line


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_model_of_any_characters_is_one_line(logging_gateway: Gateway, model: str) -> None:
    body = json.dumps({"model": model}).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: g\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n"

    line = check_one_line(logging_gateway, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    assert CHAT in line


@pytest.mark.parametrize("value", FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize("name", [b"X-Request-Id", b"X-Forwarded-For"])
def test_a_field_of_any_characters_is_one_line(logging_gateway: Gateway, name: bytes, value: bytes) -> None:
    check_one_line(
        logging_gateway, b"GET /nothing HTTP/1.1\r\nHost: g\r\n" + name + b": " + value + b"\r\n\r\n"
    )


@pytest.mark.parametrize("method", ["!$%&'*+-.^_|~", "A" * 20, "A-B"])
def test_a_method_of_any_characters_is_one_line(logging_gateway: Gateway, method: str) -> None:
    line = check_one_line(logging_gateway, f"{method} {CHAT} HTTP/1.1\r\nHost: g\r\n\r\n".encode())

    assert method in line


@pytest.mark.parametrize(
    ("raw", "method", "route"),
    [
        (b"POST /v1/messages?x HTTP/1.1\r\nno colon\r\n\r\n", "POST", "/v1/messages"),
        (b"GET /v1/models/secret HTTP/1.1\r\nno colon\r\n\r\n", "GET", None),
        (b"GET /secret HTTP/1.1\r\nno colon\r\n\r\n", "GET", None),
        (b"SECRET!\x1b[31m /v1/models HTTP/1.1\r\n\r\n", None, None),
        (b"GET /v1/models\x1b[31m HTTP/1.1\r\n\r\n", None, None),
        (b"GET /v1/models HTTP/secret\r\n\r\n", None, None),
        (b"secret secret secret secret\r\n", None, None),
        (b"GET /" + b"secret" * 1000 + b" HTTP/1.1\r\n", None, None),
        (b"GET /v1/models HTTP/1.1\r\n" + b"X: secret\r\n" * 200 + b"\r\n", "GET", "/v1/models"),
        (b"GET /health/live HTTP/1.1\r\nExpect: secret\r\n\r\n", "GET", "/health/live"),
        (b"GET /v1/models HTTP/1.1\r\nHost: secret/\r\n\r\n", "GET", None),
    ],
)
def test_of_a_malformed_request_only_what_was_right_is_logged(
    logging_gateway: Gateway, raw: bytes, method: str | None, route: str | None
) -> None:
    line = check_one_line(logging_gateway, raw)

    assert "secret" not in line
    assert "SECRET" not in line
    if logging_gateway.environ["LOG_FORMAT"] == "json":
        content = json.loads(line)
        assert (content["method"], content["route"]) == (method, route)


def test_a_probe_that_is_refused_is_logged_and_one_that_is_not_is_not(
    gateway: Gateway, received: Any
) -> None:
    good = gateway.request("GET", "/health/live")
    bad = gateway.request("POST", "/health/live")

    wait_until(lambda: gateway.log_lines(request_id=bad.request_id))
    assert not gateway.log_lines(request_id=good.request_id)
