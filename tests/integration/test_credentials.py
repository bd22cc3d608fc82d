"""Every credential that is none: byte for byte on the wire, one status each, one wording for all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import KEY, Gateway

OTHER = "sk-other-0123456789abcdef"
OURS = "vgw_0DGaPwhJ_s3ZfCkQqhWjTnq5bnkhL0iuDz1kNSa0n0cAG"  # of nobody  # pragma: allowlist secret
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl"  # pragma: allowlist secret
K, OT, J = KEY.encode(), OTHER.encode(), JWT.encode()
DIGEST = "sha256:" + "0" * 64
KEYS = {
    "tester": KEY,
    "other": OTHER,
    "expired": {"key": "sk-expired-0123456789abcd", "expires": "2020-01-01T00:00:00Z"},
    "early": {"key": "sk-early-0123456789abcdef", "not_before": "2999-01-01T00:00:00Z"},
    "disabled": {"key": "sk-disabled-0123456789abc", "disabled": True},
}


@pytest.fixture(scope="module")
def several(gateway_of: Callable[[Any], Gateway]) -> Gateway:
    return gateway_of(KEYS)


def ask(gateway: Gateway, *lines: bytes, target: bytes = b"/v1/models") -> tuple[int, bytes]:
    """Status and body of a request with these header lines, exactly."""
    with gateway.connect() as client:
        head = [b"GET " + target + b" HTTP/1.1", b"Host: g", *lines]
        client.sock.sendall(b"\r\n".join(head) + b"\r\n\r\n")
        client.read_head()
        return client.status, client.read_body()


VALUES: list[bytes] = [
    *(b"", b" ", b"\t", b" \t ", b"none", b"null", b"undefined", b"true", b"0", b"-1", b"*", b"%", b"_"),
    *(b"tester", b"other", b"sk-", b"sk-test", b"vgw_", OURS.encode(), OURS[:-1].encode(), J),
    *(K[:-1], K + b"x", K.upper(), K[::-1], K.title(), b'"' + K + b'"', b"'" + K + b"'", b"<" + K + b">"),
    *(K + b";", K + b"," + K, K + b" " + OT, K + b"\tx", b"key=" + K, b"Basic " + K, b"Token " + K),
    *(b"Bearer Bearer " + K, b"sk-expired-0123456789abcd", b"sk-early-0123456789abcdef"),
    *(DIGEST.encode(), b"sk-disabled-0123456789abc"),
    *(b"__proto__", b"constructor", b"' OR '1'='1", b"\" OR 1=1 --", b"[]", b"{}"),
    *(b'{"key":"x"}', b"../../etc/passwd", b"${jndi:ldap://x}", b"%00", b"%2e%2e", b"{{7*7}}"),
    *(b"x" * 512, b"x" * 513, b"x" * 4000, "schl\u00fcssel".encode(), b"schl\xfcssel", b"\xff\xfe"),
    *(K + b"\xa0", b"\xa0" + K, "\u202e".encode() + K, K + "\u200b".encode(), "\uff53\uff4b-test".encode()),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value[:24]))
@pytest.mark.parametrize("header", [b"X-API-Key: ", b"Authorization: Bearer "])
def test_no_value_in_the_place_of_a_key_opens_the_gateway(
    several: Gateway, header: bytes, value: bytes
) -> None:
    status, body = ask(several, header + value)

    assert status == 401
    content = json.loads(body)["error"]
    assert (content["type"], content["code"]) == ("authentication_error", "missing_or_invalid_key")
    is_token = header.startswith(b"Auth") and value == J
    assert is_token or content["message"] == "API key missing or not valid for this gateway."
    assert KEY not in body.decode()


LINES: list[tuple[list[bytes], int]] = [
    ([], 401),
    ([b"Authorization:"], 401),
    ([b"Authorization: Bearer"], 401),
    ([b"Authorization: " + K], 401),
    ([b"Authorization: Basic " + K], 401),
    ([b"Authorization: Token " + K], 401),
    ([b"Authorization: ApiKey " + K], 401),
    ([b"Authorization: Bearer:" + K], 401),
    ([b"Authorization: Bearer=" + K], 401),
    ([b"Authorization: Bearer" + K], 401),
    ([b"Authorization: Bearer\t" + K], 401),
    ([b"Authorization: bearer token=" + K], 401),
    ([b"Proxy-Authorization: Bearer " + K], 401),
    ([b"X-Serverless-Authorization: Bearer " + K], 401),
    ([b"Api-Key: " + K], 401),
    ([b"X-Goog-Api-Key: " + K], 401),
    ([b"X_API_Key: " + K], 401),
    ([b"X-API_Key: " + K], 401),
    ([b"X-API-Key2: " + K], 401),
    ([b"X-Forwarded-X-API-Key: " + K], 401),
    ([b"Cookie: X-API-Key=" + K], 401),
    ([b"Cookie: session=" + K], 401),
    ([b"User-Agent: GoogleHC/1.0"], 401),
    ([b"User-Agent: kube-probe/1.30"], 401),
    ([b"X-API-Key: " + K, b"X-API-Key: " + K], 401),
    ([b"X-API-Key: " + K, b"X-API-Key: " + OT], 401),
    ([b"X-API-Key: ", b"X-API-Key: " + K], 401),
    ([b"Authorization: Bearer " + K, b"Authorization: Bearer " + K], 401),
    ([b"X-API-Key: wrong", b"Authorization: Bearer " + K], 401),
    ([b"X-API-Key: sk-expired-0123456789abcd", b"Authorization: Bearer " + K], 401),
    ([b"X-API-Key: " + K, b"Authorization: Bearer " + OT], 400),
    ([b"X-API-Key: " + OT, b"Authorization: Bearer " + K], 400),
    ([b"X-API-Key: " + K, b"Authorization: Bearer sk-expired-0123456789abcd"], 200),
    ([b"X-API-Key: " + K, b"Authorization: Bearer " + K], 200),
    ([b"X-API-Key: " + K, b"Authorization: Bearer " + J], 200),
    ([b"X-API-Key: " + K, b"Authorization: Basic dXNlcjpwYXNz"], 200),
    ([b"X-API-Key: " + K, b"Authorization: Bearer wrong"], 200),
    ([b"X-API-Key:" + K], 200),
    ([b"x-aPi-kEy: \t " + K + b" \t"], 200),
    ([b"Authorization:Bearer " + K], 200),
    ([b"Authorization: BEARER    " + K], 200),
    ([b"X-API-Key: ", b"Authorization: Bearer " + K], 200),
    ([b"X-API-Key: " + b"x" * 9000], 431),
    ([b"Authorization: Bearer " + b"x" * 9000], 431),
    ([b"X-API-Key: " + K + b"\x00"], 400),
    ([b"X-API-Key : " + K], 400),
    ([b"X-API-Key: " + K + b"\x01"], 400),
    ([b"X-API-Key: a\r\n " + K], 400),
]


@pytest.mark.parametrize(("lines", "status"), LINES, ids=lambda part: repr(part)[:60])
def test_each_form_of_the_headers_has_one_exact_answer(
    several: Gateway, lines: list[bytes], status: int
) -> None:
    found, body = ask(several, *lines)

    assert found == status
    assert status == 200 or KEY not in body.decode()


@pytest.mark.parametrize("target", [f"/v1/models?api_key={KEY}", f"/v1/models?key={KEY}&X-API-Key={KEY}"])
def test_a_key_in_the_query_is_none(several: Gateway, target: str) -> None:
    assert ask(several, target=target.encode())[0] == 401


def test_a_key_in_the_body_is_none(several: Gateway) -> None:
    reply = several.request("POST", "/v1/chat/completions", {"model": "m", "api_key": KEY, "X-API-Key": KEY})

    assert reply.status == 401


def test_a_key_in_a_trailer_is_none(several: Gateway) -> None:
    with several.connect() as client:
        lines = b"Host: g\r\nTransfer-Encoding: chunked\r\nTrailer: X-API-Key\r\n"
        client.sock.sendall(
            b"POST /v1/completions HTTP/1.1\r\n"
            + lines
            + b"\r\n2\r\n{}\r\n0\r\nX-API-Key: "
            + K
            + b"\r\n\r\n"
        )

        assert client.read_head() in (400, 401)


def test_an_empty_set_lets_nobody_in(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"_allow_empty": true}')
    gateway = start_gateway()
    gateway.wait_ready()

    for lines in ([], [b"X-API-Key:"], [b"X-API-Key: null"], [b"Authorization: Bearer "], [b"X-API-Key: "]):
        assert ask(gateway, *lines)[0] == 401


ADMIN, PLAIN, BOTH = "sk-admin-0123456789abcdef", "sk-plain-0123456789abcdef", "sk-both-0123456789abcdef0"
WITH_ADMIN = {
    "plain": PLAIN,
    "boss": {"key": ADMIN, "scopes": ["admin"]},
    "both": {"key": BOTH, "scopes": ["admin", "inference", "of-tomorrow"]},
}


@pytest.fixture(scope="module")
def ruled(gateway_of: Callable[[Any], Gateway]) -> Gateway:
    return gateway_of(WITH_ADMIN)


@pytest.mark.parametrize("target", [b"/admin/reload-keys", b"/admin/status"])
@pytest.mark.parametrize(
    ("key", "status"), [("", 401), ("sk-wrong", 401), (PLAIN, 403), (ADMIN, 200), (BOTH, 200)]
)
def test_only_admins_reach_the_admin_routes(ruled: Gateway, target: bytes, key: str, status: int) -> None:
    found, body = ask(
        ruled, b"X-API-Key: " + key.encode(), b"Cookie: X-API-Key=" + ADMIN.encode(), target=target
    )

    assert found == status
    assert status != 403 or "scope admin" in json.loads(body)["error"]["message"]


@pytest.mark.parametrize(("key", "status"), [(PLAIN, 200), (ADMIN, 403), (BOTH, 200)])
def test_only_keys_for_inference_reach_the_model(ruled: Gateway, key: str, status: int) -> None:
    found, body = ask(ruled, b"X-API-Key: " + key.encode())

    assert found == status
    assert status != 403 or "scope inference" in json.loads(body)["error"]["message"]


def test_a_plain_set_reloads_but_has_to_make_an_admin_for_the_rest(several: Gateway) -> None:
    key = b"X-API-Key: " + K

    assert ask(several, key, target=b"/admin/reload-keys")[0] == 200
    status, body = ask(several, key, target=b"/admin/status")
    assert status == 403
    assert "keys add --name operator --scope admin" in json.loads(body)["error"]["message"]
