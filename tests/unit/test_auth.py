"""Credentials: which header counts, and that no header value can do harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from app.auth import find_principal, read_bearer
from app.errors import AmbiguousCredentials, MissingOrInvalidKey
from app.keys.key_file import parse_key_file
from app.keys.ring import Ring

RING = Ring.of(parse_key_file('{"a": "key-a", "b": "key-b", "ü": "schlüssel"}'.encode()).records)
latin = st.text(alphabet=st.characters(max_codepoint=255), max_size=40)


@given(latin, latin)
def test_no_header_value_opens_the_gateway_or_crashes_it(direct: str, authorization: str) -> None:
    headers = Headers({"X-API-Key": direct.replace("\n", "").replace("\r", "")})
    headers["Authorization"] = authorization.replace("\n", "").replace("\r", "")

    with pytest.raises(MissingOrInvalidKey):
        find_principal(headers, RING)


def test_no_key_set_knows_the_empty_key() -> None:
    for headers in (Headers(), Headers({"X-API-Key": ""}), Headers({"Authorization": "Bearer "})):
        with pytest.raises(MissingOrInvalidKey):
            find_principal(headers, Ring.of(()))


def test_a_key_beyond_ascii_matches_the_bytes_on_the_wire() -> None:
    as_wsgi_gives_it = "schlüssel".encode().decode("latin-1")

    assert find_principal(Headers({"X-API-Key": as_wsgi_gives_it}), RING).name == "ü"


def test_a_principal_says_who_and_how_but_shows_no_secret() -> None:
    principal = find_principal(Headers({"Authorization": "Bearer key-a"}), RING)

    assert (principal.name, principal.source) == ("a", "Authorization")
    assert principal.scopes == {"inference"}
    assert "secret" not in repr(principal)


def test_two_known_keys_are_one_too_many() -> None:
    with pytest.raises(AmbiguousCredentials):
        find_principal(Headers({"X-API-Key": "key-a", "Authorization": "Bearer key-b"}), RING)


def test_an_identity_token_alone_gets_a_hint() -> None:
    with pytest.raises(MissingOrInvalidKey, match="X-API-Key"):
        find_principal(Headers({"Authorization": "Bearer eyJh.eyJz.c2ln"}), RING)


@pytest.mark.parametrize(
    ("value", "token"),
    [("Bearer x", "x"), ("BEARER  x ", "x"), ("Bearer", ""), ("Basic x", ""), ("x", ""), ("", "")],
)
def test_a_bearer_token_is_read(value: str, token: str) -> None:
    assert read_bearer(value) == token


tokens = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20)
blanks = st.text(" \t", max_size=3)


@given(st.text(max_size=9), st.sampled_from(["", " ", "\t", "  "]), tokens, blanks, blanks)
def test_only_what_stands_behind_the_word_bearer_is_a_token(
    scheme: str, gap: str, token: str, before: str, behind: str
) -> None:
    value = before + scheme + gap + token + behind
    words = value.strip(" \t").split(" ", 1)

    is_bearer = len(words) == 2 and words[0].lower() == "bearer"
    assert read_bearer(value) == (words[1].strip(" \t") if is_bearer else "")


@given(st.sampled_from(["bearer", "Bearer", "BEARER", "bEARER"]), tokens, blanks, blanks)
def test_a_token_is_found_however_it_is_spelled(scheme: str, token: str, before: str, behind: str) -> None:
    assert read_bearer(f"{before}{scheme} {before}{token}{behind}") == token.strip(" \t")


KNOWN = {"key-a": "a", "key-b": "b", "schl\u00c3\u00bcssel": "ü"}  # as WSGI gives the last
held = st.sampled_from([None, "", *KNOWN, "key-c"])


@given(held, held, blanks)
def test_every_pair_of_credentials_has_one_verdict(
    direct: str | None, bearer: str | None, blank: str
) -> None:
    headers = Headers()
    if direct is not None:
        headers["X-API-Key"] = blank + direct + blank
    if bearer is not None:
        headers["Authorization"] = f"Bearer {blank}{bearer}"
    by_direct, by_bearer = KNOWN.get(direct or ""), KNOWN.get(bearer or "")
    wanted = by_direct if direct else by_bearer

    if by_direct and by_bearer and by_direct != by_bearer:
        with pytest.raises(AmbiguousCredentials):
            find_principal(headers, RING)
    elif wanted is None:
        with pytest.raises(MissingOrInvalidKey):
            find_principal(headers, RING)
    else:
        assert find_principal(headers, RING).name == wanted
