"""Nothing that a client says, in whatever place, is anywhere but in its request and at the model."""

import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.client import KEY
from tests.entrypoint import Entrypoint, runs

CANARY = "canary-7f3a91"
CHAT = "POST /v1/chat/completions HTTP/1.1"
CHUNKED = "Transfer-Encoding: chunked"
# The canary sits where a ~ is.
FIELDS = (
    "Cookie: ~=~", "X-~: ~", "Referer: http://g/~", "Origin: ~", "User-Agent: ~", "Authorization: Basic ~",
    "Authorization: Bearer ~", "Content-Encoding: ~", "Expect: ~", "Transfer-Encoding: ~", "X: ~\0", "~",
    "X: y\r\n ~", "Host: ~", "Connection: ~", "traceparent: ~", "X-Session-ID: ~", "Accept: ~", "Range: ~",
    "anthropic-beta: ~", "X-Forwarded-For: ~", "Forwarded: for=~", "X-Original-URL: /~", "If-None-Match: ~",
    "Proxy-Authorization: ~",
)  # fmt: skip
TARGETS = (
    "/v1/models?q=~", "/v1/models?~", "/v1/models/~", "/~", "/v1/models#~", "/v1/models\0~", "/v1/models;~",
    "*~", "http://~/v1/models", "http://~@g/", "/admin/reload-keys?version=~", "/health/live?~", "/health/~",
    "~:80",
)  # fmt: skip
FIRST_LINES = (
    "~", "~ /v1/models HTTP/1.1", "GET /v1/models ~", "GET ~ HTTP/1.1", "~ ~ ~", "PUT /~ HTTP/1.1", "GET /~",
    "GET /v1/models HTTP/1.1~",
)  # fmt: skip
PROMPT = '{"model":"m","messages":[{"role":"user","content":"~ ~"}]}'
BODIES = (
    PROMPT, PROMPT.replace('"m",', '"m","stream":true,'), '{"model":"m","~":', '{"model":"m","stream":"~"}',
    '"~"', '{"~":1,"~":2}',
    '{"model":["~"]}', '{"model":"m","user":"~\\ud800"}', '{"stream_options":"~"}', "~",
)  # fmt: skip
CHUNKS = (PROMPT + "\r\n", "1;~=~\r\nx\r\n~\r\n", "2\r\n{}\r\n0\r\n~: ~\r\n~\r\n\r\n", "~\r\n", "1\r\n~\r\n")


def request(first: str, *lines: str, body: str = "") -> bytes:
    """A request with a key, and the canary in its places."""
    body = body.replace("~", CANARY)
    framing = () if CHUNKED in lines or not body else (f"Content-Length: {len(body)}",)
    head = [first, "Host: g", f"X-API-Key: {KEY}", "Content-Type: application/json", *lines, *framing, "", ""]
    return ("\r\n".join(head).replace("~", CANARY) + body).encode()


REQUESTS = [
    *(request(CHAT, field, body=PROMPT) for field in FIELDS),
    *(request(f"GET {target} HTTP/1.1") for target in TARGETS),
    *(request(first) for first in FIRST_LINES),
    *(request(CHAT, body=body) for body in BODIES),
    *(request(CHAT, CHUNKED, body=body) for body in CHUNKS),
    request(CHAT, "Content-Length: 12")
    + PROMPT.replace("~", CANARY).encode(),  # the rest looks like a request
    request(CHAT, body=PROMPT).replace(KEY.encode(), CANARY.encode()),
    request("GET /v1/models HTTP/1.1").replace(KEY.encode(), CANARY.encode()),
]


def answer(gateway: Entrypoint, sent: bytes) -> tuple[int, str, str]:
    """Status, head and body of the first answer, once the gateway is done with the connection."""
    with gateway.connect() as client:
        client.sock.sendall(sent)
        client.read_head()
        found = client.status, str(client.headers), str(client.read_body())
        client.sock.shutdown(1)
        client.read_to_end()
        return found


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_canary_is_in_no_log_error_argument_or_environment(
    start_both: Callable[..., Entrypoint], tmp_path: Path, log_format: str
) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"tester": KEY}))
    gateway = start_both(LOG_FORMAT=log_format)
    gateway.wait_ready()

    answers = [answer(gateway, sent) for sent in REQUESTS]

    seen = {
        "heads": "".join(head for _, head, _ in answers),
        "errors": "".join(body for status, _, body in answers if status >= 400),
        "arguments": str([runs(process) for process in psutil.process_iter()]),
        "vllm": str(gateway.vllm.environ()),
        "gateway": str(gateway.master.environ()),
        "log": gateway.log_file.read_text(),
    }
    assert not [where for where, text in seen.items() if CANARY in text or KEY in text]
    assert "Traceback" not in seen["log"]
    assert {200, 400, 401, 404, 415, 417} <= {status for status, _, _ in answers}
    assert seen["log"].count("request") > len(REQUESTS)
