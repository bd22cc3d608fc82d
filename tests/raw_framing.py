"""Raw requests by how their ends are told; what is larger than allowed; and several in one piece."""

from tests.raw_requests import (
    BODY,
    CHAT,
    GOOD,
    LENGTH,
    MODELS,
    OWN_KEY,
    Case,
    G,
    P,
    Raw,
    V,
    bare,
    fields,
    refused,
    request,
    taken,
    told,
)  # fmt: skip

CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"d\r\n" + BODY + b"\r\n0\r\n\r\n"
LIST = request(first=b"GET " + MODELS + b" HTTP/1.1")
NOTHING = request(first=b"GET /nothing HTTP/1.1")
SMUGGLED = request(LENGTH, first=b"POST /v1/completions HTTP/1.1", body=BODY)
SMUGGLED_LENGTH = b"Content-Length: %d" % len(SMUGGLED)


def framed(*heads: bytes, body: bytes = BODY) -> list[Case]:
    """A request for each of these fields, which say how the body ends."""
    return [(head[:70], request(head, body=body)) for head in heads]


def chunked(*bodies: bytes) -> list[Case]:
    """A request for each of these chunked bodies."""
    return [(body[:50], request(CHUNKED, body=body)) for body in bodies]


def answered(name: str, data: bytes, *statuses: int, contacts: int = 0, ends: bool = False) -> Raw:
    """Several requests in one piece; a 400 that comes last is one of a malformed request."""
    one_each = tuple(frozenset((status,)) for status in statuses)
    return Raw(name, data, one_each, contacts, is_malformed=statuses[-1] == 400, ends=ends)


LENGTHS = [
    *refused("length", framed(*(b"Content-Length: " + value for value in (
        b"-1", b"-13", b"+13", b"0x0d", b"13.0", b"1e1", b"13,13", b"13, 13", b"13,14", b"13;", b"1 3",
        b"13 13", b"", b",", b"NaN", b"ten", b"1_3", b"'13'", b"\xb2", "\uff11\uff13".encode(), b"13\x80",
        b"0b1101", b"--13", b"13-", b"1" * 20, b"9" * 20, b"9" * 30, b"9" * 5000, b"0" * 30 + b"13",
    )))),
    *refused("length", framed(
        LENGTH + b"\r\n" + LENGTH, LENGTH + b"\r\nContent-Length: 14", b"Content-Length: 0\r\n" + LENGTH,
        LENGTH + b"\r\ncontent-length: 1", LENGTH + b"\r\nContent-Length:", b"Content-Length : 13",
        b"Content-Length\t: 13", b"Content-Length:\r\n 13", b"Content-Length\x00: 13", b" " + LENGTH,
        b"Content-Length: 1\r\n 3", b"Content\x80-Length: 13",
    )),
    *told("length", framed(*(b"Content-Length: " + value for value in (
        b"%d" % 2**63, b"%d" % (2**63 - 1), b"9" * 19, b"%d" % (20 * 2**20 + 1), b"%d" % 2**32,
    ))), 413),
    *taken("length", framed(
        b"Content-Length:13", b"Content-Length: \t 13 \t ", b"CONTENT-LENGTH: 13", b"Content-Length: 0013",
        b"Content_Length: 5\r\n" + LENGTH,
    )),
    # Where a body is usual and none is declared there may be one all the same: what follows is no request.
    answered("no length, a body", request(body=BODY), 400),
    answered("no length, a request for a body", request(body=SMUGGLED), 400),
    answered("a length with an underscore", request(b"Content_Length: 13", body=BODY), 400),
    answered("more than its length", request(LENGTH, body=BODY + b"G\r\n"), 200, 400, contacts=1),
    answered("a length of zero and a body", request(b"Content-Length: 0", body=BODY), 400),
    answered("a length of zeros and a request", request(b"Content-Length: 000", body=SMUGGLED), 400),
    answered("no length, a route of ours", request(first=b"POST /health/live" + V) + SMUGGLED, 405),
    answered("a length of zero and a PUT, a request",
             request(b"Content-Length: 0", first=b"PUT /nothing" + V) + SMUGGLED, 404),
]  # fmt: skip

CODINGS = [
    *refused("coding", framed(*(b"Transfer-Encoding: " + value for value in (
        b"", b",", b"chunked,", b",chunked", b"chunked, chunked", b"chunked,chunked", b"chunked, identity",
        b"identity, chunked", b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"deflate, chunked",
        b"x", b"xchunked", b"chunkedx", b"chunk", b"chunked;q=1", b"chunked; a=b", b'"chunked"',
        b"'chunked'", b"chunked x", b"x chunked", b"chun ked", b"chunked\x0b", b"\x0bchunked",
        b"\x0cchunked", b"chunked\x00", b"chunked\x80", b"\xa0chunked", b"c\xc4\xa5unked", b"(chunked)",
        b"chunked:", b"br", b"cow", b"none", b"0", b"trailers", b"\r\n chunked", b"\r\n\tchunked",
        b"x\r\n chunked",
    )), body=CHUNKS)),
    *refused("coding", framed(
        CHUNKED + b"\r\n" + CHUNKED, CHUNKED + b"\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding: identity\r\n" + CHUNKED, b"Transfer-Encoding: gzip\r\n" + CHUNKED,
        CHUNKED + b"\r\nTransfer-Encoding: x", b"Transfer-Encoding: x\r\n" + CHUNKED,
        b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b" " + CHUNKED,
        b"Transfer-Encoding\x00: chunked", b"Transfer\x80-Encoding: chunked", b"X: y\r\n " + CHUNKED,
        CHUNKED + b"\r\n" + LENGTH, LENGTH + b"\r\n" + CHUNKED, CHUNKED + b"\r\nContent-Length: 0",
        CHUNKED + b"\r\nContent-Length: %d" % len(CHUNKS), b"Content-Length: x\r\n" + CHUNKED,
        LENGTH + b"\r\nTransfer-Encoding: x", LENGTH + b"\r\nTransfer-Encoding: identity",
        LENGTH + b"\r\nTransfer-Encoding:", b"X: y\r" + CHUNKED, b"X: y\n" + CHUNKED,
        b"Connection: Transfer-Encoding\r\n" + CHUNKED + b"\r\n" + LENGTH, body=CHUNKS,
    )),
    *refused("coding", [
        ("chunked on HTTP/1.0", request(CHUNKED, first=P + b" HTTP/1.0", body=CHUNKS)),
        ("both on HTTP/1.0", request(CHUNKED, LENGTH, first=P + b" HTTP/1.0", body=CHUNKS)),
        ("CL.TE", request(b"Content-Length: 6", CHUNKED, body=b"0\r\n\r\nG" + SMUGGLED)),
        ("CL.TE, closing", request(
            b"Content-Length: 6", CHUNKED, b"Connection: close", body=b"0\r\n\r\nG" + SMUGGLED
        )),
        ("TE.CL", request(CHUNKED, b"Content-Length: 4", body=b"b0\r\n" + SMUGGLED + b"\r\n0\r\n\r\n")),
        ("TE.TE", request(
            CHUNKED, b"Transfer-encoding: cow", b"Content-Length: 4", body=b"0\r\n\r\n" + SMUGGLED
        )),
        ("TE.TE, by a space", request(
            b"Transfer-Encoding : chunked", b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED
        )),
        ("TE with a GET", request(b"Transfer-Encoding: gzip, chunked", first=G + V, body=CHUNKS)),
        ("both with a GET", request(LENGTH, CHUNKED, first=G + V, body=CHUNKS + SMUGGLED)),
    ]),
    *taken("coding", framed(
        b"Transfer-Encoding: CHUNKED", b"transfer-encoding:chunked", b"Transfer-Encoding: \t chunked \t ",
        b"TE: chunked\r\n" + CHUNKED, body=CHUNKS,
    )),
    *taken("coding", framed(
        b"Transfer_Encoding: chunked\r\n" + LENGTH, b"Transfer-Encodin: chunked\r\n" + LENGTH,
        b"TE: chunked\r\n" + LENGTH,
    )),
]  # fmt: skip

TRAILERS = [
    b"Content-Length: 5", CHUNKED, b"Host: evil", b"Authorization: Bearer x", b"Trailer: x", b"TE: x",
    b"no colon", b": x", b" folded", b"X : y", b"X: \x00", b"X\x00: y", b"X: y\r\n folded", b"X: y\nZ: w",
    b"X: y\rZ: w", b"X: " + b"y" * 9000, b"\r\n".join([b"X: y"] * 101), b"Z: " + b"y" * 70_000,
]  # fmt: skip
D = b"d\r\n" + BODY + b"\r\n"

BODIES = [
    *refused("chunk", chunked(*(size + b"\r\n" + BODY + b"\r\n0\r\n\r\n" for size in (
        b"", b" ", b"d ", b" d", b"\td", b"d\t", b"+d", b"-d", b"-1", b"0xd", b"0Xd", b"x", b"g", b"dd d",
        b"d_0", b"d,", b"d.", b"'d'", b"\x00d", b"d\x00", b"d\x0b", b"d\x80", "\uff44".encode(), b"d;",
        b"d;;", b"d;=", b"d;a=", b"d;a=b;", b"d;a b", b'd;a="', b'd;a="b', b'd;a="b"c', b"d;\x00", b"d;a\rb",
        b"d;a\nb", b"d;a=\x01", b"d;a=b,c", b"d;\xff", b"d\r", b"d\rd", b"d;" + b"a" * 20_000,
        b"0" * 20_000 + b"d",
    )))),
    *refused("chunk", chunked(
        D.replace(b"\r\n", b"\n") + b"0\n\n", D.replace(b"\r\n", b"\r") + b"0\r\r", BODY + b"\r\n",
        b"d\r\n" + BODY + b"\n0\r\n\r\n", b"d\r\n" + BODY + b"\r0\r\n\r\n", b"d\r\n" + BODY + b"0\r\n\r\n",
        b"c\r\n" + BODY + b"\r\n0\r\n\r\n", b"e\r\n" + BODY + b"\r\n0\r\n\r\n",
        b"d\r\n" + BODY + b"XX0\r\n\r\n",
        D + b"\r\n0\r\n\r\n", b"\r\n" + CHUNKS, D + b"0\r\n\n", D + b"0\n\n", D + b"0\nX: y\r\n\r\n",
        D + b"-0\r\n\r\n", D + b"0 \r\n\r\n", b"\n",
    )),
    *refused("trailer", [(trailer[:50], request(CHUNKED, body=D + b"0\r\n" + trailer + b"\r\n\r\n"))
                         for trailer in TRAILERS]),
    *told("chunk", chunked(
        b"f" * 15 + b"\r\nx", b"f" * 16 + b"\r\nx", b"f" * 17 + b"\r\nx", b"f" * 8000 + b"\r\nx",
        b"8000000000000000\r\nx", b"100000000000000d\r\n" + BODY, b"1400001\r\nx", b"1\r\nx\r\n1400000\r\nx",
    ), 413),
    *taken("chunk", chunked(
        CHUNKS, D.upper().replace(BODY.upper(), BODY) + b"0\r\n\r\n", b"000" + D + b"000\r\n\r\n",
        b"d;a" + D[1:] + b"0;b=c\r\n\r\n", b'd ; a = "b\\"c;\xff" ;d=e' + D[1:] + b"0\r\n\r\n",
        D + b"0\r\nX-Sum: 1\r\nX-API-Key: other\r\n\r\n", D + b"0\r\nContent-Type: text/plain\r\n\r\n",
        b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n",
    )),
    *refused("body cut short", [
        *((cut, request(CHUNKED, body=CHUNKS[:cut])) for cut in range(len(CHUNKS))),
        *((f"length {cut}", request(LENGTH, body=BODY[:cut])) for cut in range(0, len(BODY), 4)),
    ], ends=True),
    *refused("head cut short", [
        (cut, GOOD[:cut]) for cut in range(1, GOOD.index(b"\r\n\r\n") + 4, 6)
    ], ends=True),
    *refused("no request", [
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(14, 60))),
        ("a NUL", b"\x00"), ("spaces", b"   "), ("HTTP/0.9", b"GET /"), ("a tab", b"\t"),
        ("high bytes", b"\xff" * 300),
    ], ends=True),
]  # fmt: skip

CONSENT = b"Expect: 100-continue"
EXPECTS = [
    *refused("expectation", fields(*(b"Expect: " + value for value in (
        b"", b"x", b"200-ok", b"100-continue, x", b"x, 100-continue", b"100-continue;q=1", b"100 continue",
        b"100", b"100-continue\r\nExpect: x",
    ))), 417),
    *taken("expectation", fields(CONSENT, b"Expect: 100-Continue", CONSENT + b"\r\n" + CONSENT), interims=1),
    *taken("expectation", [("chunked", request(CHUNKED, CONSENT, body=CHUNKS))], interims=1),
    *taken("expectation", [
        ("HTTP/1.0", request(LENGTH, CONSENT, first=P + b" HTTP/1.0", body=BODY)),
        ("a GET", request(CONSENT, first=G + V)),
        ("with an underscore", request(b"Ex_pect: 100-continue", LENGTH, body=BODY)),
    ]),
    answered("expectation, no route", request(LENGTH, CONSENT, first=b"POST /nothing" + V, body=BODY), 404),
    answered("expectation, method", request(LENGTH, CONSENT, first=b"PUT " + CHAT + V, body=BODY), 405),
    answered("expectation, too large", request(b"Content-Length: 99999999", CONSENT), 413),
    answered("expectation, coding", request(LENGTH, CONSENT, b"Content-Encoding: gzip", body=BODY), 415),
    *told("expectation", [("an empty body", request(b"Content-Length: 0", CONSENT))], 400),
    answered("an expectation is not kept", request(CONSENT, first=G + V) + GOOD, 200, 200, contacts=2),
]  # fmt: skip

LONG = b"X: " + b"y" * 8000
LIMITS = [
    *refused("limit", [
        ("a first line", request(first=b"GET /" + b"a" * (4095 - 14) + V)),
        ("a first line without end", b"GET /" + b"a" * 100_000),
        ("a method", b"A" * 100_000 + b" /" + V),
        ("a query", request(first=G + b"?" + b"a" * 5000 + V)),
    ], 414),
    *refused("limit", [
        ("101 fields", request(*[b"X: y"] * 98)),
        ("a thousand fields", request(*[b"X: y"] * 1000)),
        ("101 fields that are dropped", request(*[b"X_Y: z"] * 98)),
        ("a field", request(b"X: " + b"y" * 8188)),
        ("a field without end", request(b"X: " + b"y" * 200_000)),
        ("a name", request(b"X" * 9000 + b": y")),
        ("a head", request(*[LONG] * 8, b"X: " + b"y" * 1400)),
        ("a head without end", request(*[LONG] * 50)[:200_000]),
        ("fields without end", P + V + b"\r\n" + b"a: b\r\n" * 50_000),
    ], 431),
    *told("the most", [("of a first line", request(first=b"GET /" + b"a" * (4094 - 14) + V))], 404),
    *taken("the most", [
        ("of fields", request(*[b"X: y"] * 96, LENGTH, body=BODY)),
        ("of a field", request(b"X: " + b"y" * 8180, LENGTH, body=BODY)),
        ("of a head", request(*[LONG] * 8, LENGTH, body=BODY)),
    ]),
]  # fmt: skip

WRONG_KEY = LIST.replace(OWN_KEY, b"X-API-Key: x")
CLOSE = b"Connection: close"
PIPELINES = [
    answered("two good ones", GOOD + GOOD, 200, 200, contacts=2),
    answered("good ones in chunks", request(CHUNKED, body=CHUNKS) * 3, 200, 200, 200, contacts=3),
    answered("a list and a chat", LIST + GOOD + LIST, 200, 200, 200, contacts=3),
    answered("an empty line between", GOOD + b"\r\n" + GOOD, 200, 200, contacts=2),
    answered("no route, then good", NOTHING + GOOD, 404, 200, contacts=1),
    answered("a wrong key, then good", WRONG_KEY + GOOD, 401, 200, contacts=1),
    answered("a hundred without a route", NOTHING * 100, *[404] * 100),
    answered("good, then garbage", GOOD + b"GARBAGE\r\n\r\n", 200, 400, contacts=1),
    answered("good, then no Host", GOOD + bare(), 200, 400, contacts=1),
    answered("no route, then a head cut short", NOTHING + GOOD[:40], 404, 400, ends=True),
    answered("good, then both framings", GOOD + request(LENGTH, CHUNKED, body=CHUNKS) + SMUGGLED,
             200, 400, contacts=1),
    answered("garbage, then good", b"GARBAGE\r\n\r\n" + GOOD, 400),
    answered("no Host, then good", bare() + GOOD, 400),
    answered("both framings, then good", request(LENGTH, CHUNKED, body=CHUNKS) + GOOD, 400),
    answered("a bad chunk, then good", request(CHUNKED, body=b"x\r\n\r\n") + GOOD, 400),
    answered("another authority, then good", request(first=b"GET http://evil/" + V) + GOOD, 400),
    answered("an unmet expectation, then good", request(b"Expect: x") + GOOD, 417),
    answered("too large, then good", request(b"Content-Length: 99999999") + GOOD, 413),
    answered("closing, then good", request(LENGTH, CLOSE, body=BODY) + SMUGGLED, 200, contacts=1),
    answered("closing among others, then good",
             request(LENGTH, b"Connection: x, Close", body=BODY) + SMUGGLED, 200, contacts=1),
    answered("closing second, then good",
             request(LENGTH, b"Connection: x", CLOSE, body=BODY) + SMUGGLED, 200, contacts=1),
    answered("HTTP/1.0, then good",
             request(LENGTH, first=P + b" HTTP/1.0", body=BODY) + SMUGGLED, 200, contacts=1),
    answered("HTTP/1.0 kept, then good",
             request(b"Connection: keep-alive", first=G + b" HTTP/1.0") + GOOD, 200, 200, contacts=2),
    answered("a tunnel, then good", request(first=b"CONNECT g:443" + V) + GOOD, 404),
    answered("a GET with a body", request(SMUGGLED_LENGTH, first=G + V, body=SMUGGLED), 200, contacts=1),
    answered("a GET with a chunked body", request(CHUNKED, first=G + V, body=CHUNKS) + SMUGGLED,
             200, contacts=1),
    answered("a HEAD with a body",
             request(SMUGGLED_LENGTH, first=b"HEAD " + MODELS + V, body=SMUGGLED), 405),
    answered("OPTIONS with a body", request(SMUGGLED_LENGTH, first=b"OPTIONS /" + V, body=SMUGGLED), 404),
    answered("a probe with a body",
             request(SMUGGLED_LENGTH, first=b"POST /health/live" + V, body=SMUGGLED), 405),
    answered("a wrong key with a body",
             request(SMUGGLED_LENGTH, body=SMUGGLED).replace(OWN_KEY, b"X-API-Key: x", 1), 401),
    answered("an upgrade and a preface",
             request(b"Upgrade: h2c", b"Connection: Upgrade", first=G + V) + b"PRI * HTTP/2.0\r\n\r\n",
             200, 400, contacts=1),
    answered("a preface of HTTP/2",
             b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" + GOOD, 400),
    answered("good, then an empty line", GOOD + b"\r\n", 200, contacts=1),
    *refused("malformed HEAD", [
        ("no Host", bare(first=b"HEAD /" + V)), ("a field", request(b"no colon", first=b"HEAD /" + V)),
    ]),
    *refused("malformed probe", [
        ("no Host", bare(first=b"GET /health/live" + V)),
        ("a field", request(b"no colon", first=b"GET /health/startup" + V)),
        ("an expectation", request(b"Expect: x", first=b"GET /health/live" + V)),
    ], 400, 417),
    *refused("malformed message", [
        ("no Host", bare(first=b"POST /v1/messages" + V)),
        ("a field", request(b"no colon", first=b"POST /v1/messages" + V)),
        ("a chunk", request(CHUNKED, first=b"POST /v1/messages" + V, body=b"x\r\n")),
        ("a length", request(b"Content-Length: x", first=b"POST /v1/messages" + V)),
    ]),
    Raw("nothing at all", b"", (), ends=True),
    Raw("an empty line", b"\r\n", (), ends=True),
]  # fmt: skip

FRAMINGS = [*LENGTHS, *CODINGS, *BODIES, *EXPECTS, *LIMITS, *PIPELINES]
