"""Raw requests to begin with, good ones and bad ones, and the words that mutations put into them.

`KEY_LINE` stands where a client sends its key; `filled` puts one there, a wrong one, or none, and the
client's address as a proxy would tell it.
"""

import json
import random

from app.routes import OWN, RELAYED
from tests.client import KEY

KEY_LINE = b"X-Key-Here: 1\r\n"
CONTENTS = (
    {"model": "fake/model-1", "messages": [{"role": "user", "content": "hello"}]},
    {"model": "fake/model-1", "stream": True, "messages": [{"role": "user", "content": "GET / HTTP/1.1"}]},
    {"model": "m", "stream": True, "stream_options": {"include_usage": True}, "prompt": ["a", "b"], "n": 2},
    {"model": "m", "input": "é\u0000\ud83d\ude00", "max_tokens": 5, "tools": [{"type": "function"}]},
)
SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: smuggled\r\n" + KEY_LINE + b"\r\n"


def head(method: str, target: str, *lines: str, version: str = "HTTP/1.1") -> bytes:
    """A request without a body."""
    return "\r\n".join([f"{method} {target} {version}", "Host: g", *lines, ""]).encode() + KEY_LINE + b"\r\n"


def posted(target: str, body: bytes, *lines: str) -> bytes:
    """A request whose body has a length."""
    declared = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return head("POST", target, *declared, *lines) + body


def in_chunks(target: str, wire: bytes, *lines: str) -> bytes:
    """A request whose body is already in chunks."""
    declared = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    return head("POST", target, *declared, *lines) + wire


def good() -> list[bytes]:
    """What clients send."""
    bodies = [json.dumps(content).encode() for content in CONTENTS]
    return [
        *(head(route.method, route.path) for route in OWN),
        *(posted(route.path, body) for route in RELAYED for body in bodies),
        *(in_chunks(route.path, b"2\r\n{}\r\n0\r\n\r\n") for route in RELAYED),
        in_chunks("/tokenize", b'1;a="b"\r\n{\r\n01\r\n}\r\n0\r\nX-Sum: 1\r\n\r\n'),
        head("GET", "/v1/models/fake%2Fmodel-1", "Connection: close"),
        head("GET", "/v1/models?limit=5", "X-Request-Id: mine", "Accept: */*"),
        head("GET", "/v1/models", version="HTTP/1.0"),
        head("GET", "/v1/models", "Connection: keep-alive", version="HTTP/1.0"),
        head(
            "GET", "/v1/models", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAA"
        ),
        posted("/v1/messages?beta=true", bodies[0], "anthropic-version: 2023-06-01", "anthropic-beta: a,b"),
        posted("/tokenize", b"{}", "Expect: 100-continue", "Content-Encoding: identity"),
        posted("/v1/responses", bodies[1], "traceparent: 00-" + "4" * 32 + "-" + "7" * 16 + "-01"),
        posted("/v1/embeddings", bodies[3], "X-Session-ID: s-1", "Connection: close"),
        head("OPTIONS", "*"),
        head("HEAD", "/health"),
        head("DELETE", "/v1/chat/completions"),
        b"\r\n" + head("GET", "/health/live"),
    ]


def bad() -> list[bytes]:
    """What is refused, or must not be read in two ways."""
    return [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + head("GET", "/health/live"),
        head("GET", "/health/live", version="HTTP/9.9"),
        head("get", "/health/live"),
        head("CONNECT", "g:443"),
        head("TRACE", "/v1/models"),
        head("GET", "http://evil/v1/models"),
        head("GET", "/v1/models/../../pause"),
        head("GET", "/v1/models/%2e%2e%2fpause"),
        head("GET", "//[/v1"),
        head("GET", "/" + "a" * 9000),
        head("GET", "/health/live", "X: " + "a" * 9000),
        head("GET", "/health/live", *["X: a"] * 120),
        head("GET", "/health/live", "Host: second"),
        head("GET", "/health/live", " folded: x"),
        head("GET", "/health/live", "No colon here"),
        head("GET", "/health/live", "X : space"),
        head("GET", "/health/live", "Expect: the-unexpected"),
        head("GET", "/v1/models", "X_API_Key: x", "X-Original-URL: /pause", "SCRIPT_NAME: /v1"),
        head("GET", "/admin/reload-keys?version=%ff&version=2"),
        head("GET", "/health/live").replace(b"\r\n", b"\n"),
        head("GET", "/health/live").replace(b"Host: g", b"Host: a@b/?#"),
        posted("/tokenize", b"{}", "Content-Length: 2"),
        posted("/tokenize", b"{}", "Transfer-Encoding: chunked"),
        posted("/tokenize", b'{"a":1,"a":2}'),
        posted("/tokenize", b'{"a":NaN}' + b"[" * 2000),
        head("POST", "/tokenize", "Content-Type: application/json", "Content-Length: -1") + b"{}",
        head("POST", "/tokenize", "Content-Type: application/json", "Content-Length: +2") + b"{}",
        head("POST", "/tokenize", "Content-Type: application/json", "Content-Length: 9" + "9" * 4200) + b"{}",
        head("POST", "/tokenize", "Content-Type: application/json", "Content-Length: 50") + SMUGGLED,
        in_chunks("/tokenize", b"0\r\n\r\n" + SMUGGLED, "Content-Length: 5"),
        in_chunks("/tokenize", b"2\r\n{}\r\n0\r\nHost: x\r\n\r\n"),
        in_chunks("/tokenize", b"-2\r\n{}\r\n0\r\n\r\n"),
        in_chunks("/tokenize", b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        in_chunks("/tokenize", b"2\r\n{}0\r\n\r\n" + SMUGGLED),
        in_chunks("/tokenize", b"2\n{}\n0\n\n" + SMUGGLED),
        in_chunks("/tokenize", b"0x2\r\n{}\r\n0\r\n\r\n"),
        in_chunks("/tokenize", b"2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: identity"),
        head("POST", "/tokenize", "Transfer-Encoding: gzip, chunked") + b"2\r\n{}\r\n0\r\n\r\n",
        head("POST", "/tokenize", "Transfer-Encoding: xchunked") + b"2\r\n{}\r\n0\r\n\r\n",
        head("POST", "/tokenize", "Transfer-Encoding: chunked", version="HTTP/1.0") + b"0\r\n\r\n" + SMUGGLED,
    ]


WORDS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\x00",
        b"\xff",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"%00",
        b"%2f",
        b"/../",
    ),
    *(b"0", b"-1", b"4294967296", b"9" * 30, b"0x10", b"1e999", b"NaN", b"\\ud800", b'"', b"{", b"[" * 100),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n", b"Content-Length: 7\r\n", b"Host: h\r\n"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n", b"0\r\n\r\n"),
    *(b"Transfer-Encoding : chunked\r\n", b"Content-Type: text/plain\r\n", b"Content-Encoding: gzip\r\n"),
    *(b"X-API-Key: x\r\n", b"Authorization: Bearer eyJh.eyJz.c2ln\r\n", b"Authorization: Basic eDp4\r\n"),
    *(
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"chunked",
        b"identity",
        b"trailer",
    ),
)
WRONG_KEYS = (
    "",
    "x",
    "sk-wrong",
    KEY[:-1],
    KEY.upper(),
    KEY[::-1],
    "ü",
    "x" * 513,
    "a b",
    '["k"]',
    "__proto__",
)
HEADERS = ("X-API-Key: {}", "Authorization: Bearer {}", "authorization: bearer  {}", "Authorization: {}")


def filled(data: bytes, key: str | None, rng: random.Random) -> bytes:
    """The requests from an address of their own, with this key in one header or the other; None puts none."""
    peer = f"X-Forwarded-For: 10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}\r\n"
    header = rng.choice(HEADERS[: 3 if key == KEY else 4]).format(key) + "\r\n"
    return data.replace(KEY_LINE, peer.encode() + (b"" if key is None else header.encode()))
