"""Raw requests, byte for byte, and what each of them has to come to; these are about their heads.

All of them hold a good key, so that whatever is taken for a request reaches the upstream and shows there.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.client import KEY

CHAT, MODELS = b"/v1/chat/completions", b"/v1/models"
BODY = b'{"model":"m"}'
LENGTH = b"Content-Length: %d" % len(BODY)
HOST, OWN_KEY, JSON = b"Host: g", b"X-API-Key: " + KEY.encode(), b"Content-Type: application/json"
Case = tuple[object, bytes]  # a name and what is sent


@dataclass(frozen=True, slots=True)
class Raw:
    """What is sent, the statuses that may answer it (a set for each answer), and how much goes upstream."""

    name: str
    data: bytes
    answers: tuple[frozenset[int], ...]
    contacts: int = 0  # requests that reach the upstream
    is_malformed: bool = False  # the last answer says `Connection: close`, and the connection closes
    ends: bool = False  # the client says that no more will come
    interims: int = 0  # answers `100 Continue` among the others


def request(*lines: bytes, first: bytes = b"POST " + CHAT + b" HTTP/1.1", body: bytes = b"") -> bytes:
    """A request with these fields beside a Host, a key and a type."""
    return b"\r\n".join([first, HOST, OWN_KEY, JSON, *lines, b"", body])


def bare(*lines: bytes, first: bytes = b"POST " + CHAT + b" HTTP/1.1") -> bytes:
    """The same with a body, without a Host."""
    return b"\r\n".join([first, OWN_KEY, JSON, *lines, LENGTH, b"", BODY])


GOOD = request(LENGTH, body=BODY)


def refused(kind: str, cases: Iterable[Case], *statuses: int, ends: bool = False) -> list[Raw]:
    """Malformed: one answer, nothing upstream, the connection closed."""
    allowed = (frozenset(statuses or (400,)),)
    return [Raw(f"{kind} {name!r}", data, allowed, is_malformed=True, ends=ends) for name, data in cases]


def taken(kind: str, cases: Iterable[Case], interims: int = 0) -> list[Raw]:
    """Unusual but right: one request upstream."""
    ok = (frozenset((200,)),)
    return [Raw(f"{kind} {name!r}", data, ok, contacts=1, interims=interims) for name, data in cases]


def told(kind: str, cases: Iterable[Case], *statuses: int) -> list[Raw]:
    """Well-formed, and refused for what it asks: one answer, nothing upstream."""
    return [Raw(f"{kind} {name!r}", data, (frozenset(statuses),)) for name, data in cases]


def firsts(*lines: bytes) -> list[Case]:
    """A request for each of these first lines."""
    return [(line[:50], request(LENGTH, first=line, body=BODY)) for line in lines]


def fields(*lines: bytes) -> list[Case]:
    """A request for each of these fields, which frame nothing."""
    return [(line[:50], request(line, LENGTH, body=BODY)) for line in lines]


CONTROLS = [bytes([n]) for n in (*range(9), *range(11, 13), *range(14, 32), 127)]  # less TAB, LF, CR
G, P = b"GET " + MODELS, b"POST " + CHAT
V = b" HTTP/1.1"

FIRST_LINES = [
    *refused("first line", firsts(
        b"", b"GARBAGE", b"GET", b"GET ", G, G + b" ", b"GET  " + MODELS + V, G + b" " + V, b" " + G + V,
        b"\t" + G + V, b"GET\t" + MODELS + V, G + b"\tHTTP/1.1", G + V + b" ", G + V + b"\t", G + V + b" x",
        b"GET /v1/mod els HTTP/1.1", b"GET HTTP/1.1", V.strip() + b" 200 OK", b"SSH-2.0-OpenSSH",
        b"EHLO x", b"*1", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2", b"\x05\x01\x00", b"PRI * HTTP/2.0",
    )),
    *refused("method", firsts(*(method + b" " + MODELS + V for method in (
        b"get", b"Get", b"GeT", b"G@T", b"G(T", b"GET:", b"GET,", b'"GET"', b"GET/", b"{GET}", b"GE", b"G",
        b"G" * 21, b"\x00GET", b"GET\x00", b"G\x01T", b"\xffGET", b"G\xc3\x89T", b"\xef\xbb\xbfGET",
        b"\x0bGET",
    )))),
    *refused("version", firsts(*(G + b" " + version for version in (
        b"HTTP/0.9", b"HTTP/2", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9", b"HTTP/0.0", b"HTTP/1", b"HTTP/1.",
        b"HTTP/.1", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1.01", b"HTTP/1.1.1", b"HTTP/-1.1", b"HTTP/+1.1",
        b"HTTP/1,1", b"HTTP/A.B", b"http/1.1", b"Http/1.1", b"HTTP /1.1", b"HTTP/ 1.1", b"HTTPS/1.1",
        b"HTP/1.1", b"HTTP\\1.1", b"HTTP/1.1\x00", b"HTTP/1.\xb2", "HTTP/1.\uff11".encode(), b"ICY/1.0",
        b"RTSP/1.0", b"SIP/2.0", b"HTTP/1.1HTTP/1.1", b"1.1",
    )))),
    *refused("target", firsts(*(b"GET " + target + V for target in (
        *(MODELS + byte for byte in CONTROLS),
        *(MODELS + b"?x=" + byte for byte in (b"\x00", b"\x1b", b"\x7f")),
        MODELS + b"\x80", MODELS + b"\xff", b"/v1/mod\xc3\xa9ls", MODELS + b"?\xe2\x80\xa8",
        b"\xef\xbb\xbf" + MODELS, b"*", b"v1/models", b"models", b"g:80", b"g", b"?x", b"#x", b"?",
        b"http:/v1/models", b"http:v1/models", b"http://[::1/v1/models", b"http://[g]/v1/models",
        b"http://evil/v1/models", b"https://evil/v1/models", b"http://u@g/v1/models", b"http://g:81/v1/models",
        b"http://g@evil/v1/models", b"HTTP://EVIL/v1/models", b"ws://evil/v1/models", b"http:///v1/models",
        b"http://g.evil/v1/models", b"http://evil?/v1/models", b"http://evil#/v1/models",
        b"http://evil\\g/v1/models",
    )))),
    *refused("target to the model", firsts(
        b"POST *" + V, b"POST v1/chat/completions" + V, b"POST http://evil" + CHAT + V,
        b"POST //evil\x00" + CHAT + V,
    )),
    *told("target in another form", firsts(
        b"GET http://g/v1/models" + V, b"GET HTTP://G/v1/models" + V, b"POST https://g" + CHAT + V,
        b"GET //v1/models" + V, b"GET //evil/v1/models" + V, b"GET ///" + V, b"GET /" + V, b"OPTIONS *" + V,
        b"CONNECT g:443" + V, b"CONNECT g" + V, b"CONNECT :" + V, b"CONNECT /" + V, b"GET /v1/models%" + V,
        b"GET /v1/models/%zz" + V, b"GET /v1/models/%ff%fe" + V, b"GET /v1/models/%c0%ae%c0%ae/pause" + V,
        b"GET /v1/models/%0d%0aX:%20y" + V, b"GET /v1/models/%e2%80%a8" + V, b"GET /v1/models#" + V,
        b"GET /v1/models;a=b" + V, b"GET /v1/models/;" + V, b"GET /v1/models\\" + V,
        b"GET /v1/models/a#?" + V, b"GET " + MODELS + b"/" + b"%2e" * 200 + V,
    ), 404),
    *told("method", firsts(*(method + b" " + CHAT + V for method in (
        b"GET", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"QUERY", b"PROPFIND", b"PRI",
        b"M-SEARCH", b"GET.POST", b"P*ST", b"POST'", b"%50OST", b"!$%&'*+-.^_`|~",
    ))), 405),
    *taken("first line", [
        ("HTTP/1.0", request(LENGTH, first=P + b" HTTP/1.0", body=BODY)),
        ("HTTP/1.0 without a Host", bare(first=P + b" HTTP/1.0")),
        ("HTTP/1.2", request(LENGTH, first=P + b" HTTP/1.2", body=BODY)),
        ("one empty line before it", b"\r\n" + GOOD),
        ("a query", request(LENGTH, first=P + b"?a=b&c=/../d&e=http://evil/" + V, body=BODY)),
        ("a query of any characters", request(LENGTH, first=P + b"?%ff%00#@[]\\{}|^`\"<>" + V, body=BODY)),
    ]),
]  # fmt: skip

LINE_ENDS = refused("line end", [
    ("LF everywhere", GOOD.replace(b"\r\n", b"\n")),
    ("LF behind the first line", GOOD.replace(b"\r\n", b"\n", 1)),
    ("LF behind a field", GOOD.replace(b"Host: g\r\n", b"Host: g\n")),
    ("LF at the end of the head", GOOD.replace(b"\r\n\r\n", b"\r\n\n")),
    ("LF LF at the end of the head", GOOD.replace(b"\r\n\r\n", b"\n\n")),
    ("CR everywhere", GOOD.replace(b"\r\n", b"\r")),
    ("CR behind the first line", GOOD.replace(b"\r\n", b"\r", 1)),
    ("CR behind a field", GOOD.replace(b"Host: g\r\n", b"Host: g\r")),
    ("CR CR LF", GOOD.replace(b"\r\n", b"\r\r\n")),
    ("LF CR", GOOD.replace(b"\r\n", b"\n\r")),
    ("CR in a value", GOOD.replace(b"Host: g", b"Host: g\r")),
    ("CR and a field in a value", GOOD.replace(b"Host: g", b"Host: g\rX-A: b")),
    ("LF and a field in a value", GOOD.replace(b"Host: g", b"Host: g\nX-A: b")),
    ("vertical tab", GOOD.replace(b"\r\n", b"\x0b\r\n", 1)),
    ("NEL", GOOD.replace(b"\r\n", b"\x85", 1)),
    ("two empty lines before it", b"\r\n\r\n" + GOOD),
    ("an LF before it", b"\n" + GOOD),
    ("a CR before it", b"\r" + GOOD),
    ("a NUL before it", b"\x00" + GOOD),
    ("a mark of byte order before it", b"\xef\xbb\xbf" + GOOD),
    ("the second PROXY protocol before it", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12) + GOOD),
])  # fmt: skip

FIELDS = [
    *refused("field name", fields(*(
        b"X" + byte + b"Y: z"
        for byte in (*CONTROLS, *(bytes([c]) for c in b' \t"(),/;<=>?@[\\]{}'), b"\x80", b"\xff")
    ))),
    *refused("field", fields(
        b"no colon", b": no name", b":", b" ", b"\t", b" X: before the name", b"X : y", b"X\t: y",
        b"\xc3\xa9: y", b"X: y\r\n folded", b"X: y\r\n\tfolded", b"X:\r\n y", b"X: y\r\n ", b"Host : g",
        b"X-API-Key : x", b"\xdftransfer-encoding: chunked", b"Host: g", b"HOST: g", b"Host: evil",
        b"host:evil", b"Host:", b"Content-Type: application/json", b"Content-Type: text/plain",
    )),
    *refused("value", fields(*(b"X: a" + byte + b"b" for byte in CONTROLS))),
    *refused("first field", [
        ("folded", GOOD.replace(b"Host", b" Host", 1)),
        ("an empty one", GOOD.replace(b"Host", b" \r\nHost", 1)),
        ("Host, folded", GOOD.replace(b"Host: g", b"Host:\r\n g")),
        ("key, folded", GOOD.replace(b"X-API-Key: ", b"X-API-Key:\r\n ")),
    ]),
    *taken("field", fields(
        b"X:", b"X: ", b"X: \t a \t ", b"X: \xe9\xff", "X: \u2028\u202e\U0001f600".encode(), b"X_Y: z",
        b"!#$%&'*+-.^`|~1: z", b"X: a\r\nX: b", b"Connection: X-API-Key, Host",
        b"Upgrade: websocket\r\nConnection: upgrade", b"Upgrade: TLS/1.3",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGVzdA==",
        b"TE: trailers, chunked;q=0.5", b"Trailer: X-API-Key", b"Keep-Alive: timeout=1",
        b"Proxy-Connection: close", b'Cookie: a="b; c\x80', b"Range: bytes=0-0", b"If-None-Match: *",
        b"X-Api-Key-2: x",
    )),
]  # fmt: skip

HOSTS = [
    *refused("Host", [(value, bare(b"Host: " + value)) for value in (
        b"", b" ", b"/", b"x/", b"x/?", b"x/#", b"x?", b"x#", b"a@b", b"u:p@b", b"a,b", b"a, b", b"a b",
        b"a;b", b"a\\b", b"a|b", b"http://a", b"//a", b"a:0", b"a:99999", b"a:65536", b"a:-1", b"a:+1",
        b"a:x", b"a:80:80", b"a:", b":80", b":", b".", b"..", b"a..b", b".a", b"a.:x", b"*", b"%61", b"a%00",
        b"[::1", b"::1", b"[::1]x", b"[]", b"[::1]:0", b"[:::1]", b"[.]", b"[1.2.3.4]", b"[g::1]",
        b"[::1%eth0]", b"[v1.a]", b"[1:2:3:4:5:6:7:8:9]", b"\xc3\xbc", b"a\xad", b"a'", b'"a"', b"a<b>",
        b"a" * 64, b"a." * 140, b"a:" + b"1" * 400, b"x" * 8000,
    )]),
    *refused("Host", [
        ("none", bare()),
        ("none, named otherwise", bare(b"X-Forwarded-Host: g", b"X-Host: g")),
        ("with an underscore for a letter", bare(b"Ho_st: g")),
        ("none, absolute target", bare(first=b"POST http://g" + CHAT + V)),
        ("wrong on HTTP/1.0", bare(b"Host: a@b", first=P + b" HTTP/1.0")),
    ]),
    *taken("Host", [(value, bare(b"Host: " + value)) for value in (
        b"a", b"A.b-c.example:8080", b"a.", b"1.2.3.4", b"[::1]", b"[2001:DB8::1]:65535",
        b"[::ffff:1.2.3.4]", b"h_1", b"xn--bcher-kva", b"a:80", b"a:00080", b"vllm", b"127.0.0.1:8000",
        b"a" * 63, b"metadata.google.internal",
    )]),
]  # fmt: skip

HEADS = [*FIRST_LINES, *LINE_ENDS, *FIELDS, *HOSTS]
