"""A form counts only from the gateway's own page; https is what a trusted proxy says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from app.status_page.origin import is_https, is_own


@pytest.mark.parametrize(
    ("fields", "own"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://inside.example"}, True),  # a proxy changed Host
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://gateway:8080"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": ""}, False),
        ({"Origin": "http://gateway:8080"}, True),
        ({"Origin": "HTTPS://Gateway:8080"}, True),
        ({"Origin": "http://gateway"}, False),
        ({"Origin": "http://gateway:8080.evil.example"}, False),
        ({"Origin": "http://x@gateway:8080"}, False),
        ({"Origin": "file://gateway:8080"}, False),
        ({"Origin": "http://[gateway:8080"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({}, False),
    ],
)
def test_only_the_own_page_may_send_forms(fields: dict[str, str], own: bool) -> None:
    assert is_own(Headers({"Host": "gateway:8080", **fields})) is own


def test_without_a_host_there_is_no_own_page() -> None:
    assert not is_own(Headers({"Origin": "http://"}))


@given(st.text(max_size=40))
def test_no_text_but_the_host_itself_is_an_own_origin(text: str) -> None:
    headers = Headers()
    headers.set("Host", "gateway")
    if "\n" not in text and "\r" not in text:
        headers.set("Origin", "http://" + text)
        assert is_own(headers) is (text.split("/")[0].split("?")[0].split("#")[0].lower() == "gateway")


@pytest.mark.parametrize(
    ("told", "hops", "https"),
    [
        ("https", 0, False),
        ("https", 1, True),
        ("http", 1, False),
        ("", 1, False),
        ("https, http", 1, False),
        ("http, https", 1, True),
        ("https, http", 2, True),
        ("forged, https, http", 2, True),
        ("https", 2, True),  # the nearer proxy replaced what the other one had told
        ("HTTPS ", 1, True),
    ],
)
def test_https_is_what_a_trusted_proxy_says(told: str, hops: int, https: bool) -> None:
    assert is_https(Headers({"X-Forwarded-Proto": told}), hops) is https
