"""No other site can act with a session of the status page, nor begin one."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway import Gateway
from tests.page import BOSS, DATA, OWN, PLAYGROUND, RELOAD, Page

FORGED = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "", "Origin": "http://evil.example"},
    {"Sec-Fetch-Site": "", "Origin": "null"},
    {"Sec-Fetch-Site": ""},
]


@pytest.fixture(scope="module")
def office(gateway_of: Callable[[Any], Gateway]) -> Gateway:
    return gateway_of({"boss": BOSS})


@pytest.fixture
def page(office: Gateway) -> Page:
    page = Page(office)
    assert page.log_in().status == 303
    return page


@pytest.mark.parametrize("forged", FORGED, ids=str)
@pytest.mark.parametrize("target", [RELOAD, PLAYGROUND, "/admin/logout"])
def test_another_site_can_do_nothing_with_the_session(
    page: Page, target: str, forged: dict[str, str]
) -> None:
    reply = page.act(target, {}, **forged)

    assert (reply.status, reply.error_code) == (403, "cross_site_request")
    assert page.get(DATA).status == 200


@pytest.mark.parametrize("token", ["", "0" * 32, "é"], ids=["none", "another", "no ASCII"])
@pytest.mark.parametrize("target", [RELOAD, PLAYGROUND, "/admin/logout"])
def test_without_its_token_a_session_can_do_nothing(page: Page, target: str, token: str) -> None:
    for reply in (page.act(target, {}, X_CSRF_Token=token), page.form(target, {"csrf": token})):
        assert reply.status == 403


def test_the_token_of_another_session_does_not_do(office: Gateway, page: Page) -> None:
    other = Page(office)
    other.log_in()
    page.token = other.token

    assert page.act(RELOAD).status == 403


@pytest.mark.parametrize("forged", FORGED, ids=str)
def test_another_site_can_log_nobody_in(office: Gateway, forged: dict[str, str]) -> None:
    reply = Page(office).log_in(**forged)

    assert reply.status == 403
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "body", [b"key=" + b"x" * 5000, b"key=%ff", b"key=a&key=b"], ids=["long", "no text", "two"]
)
def test_a_form_that_is_none_is_refused(office: Gateway, body: bytes) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    assert office.request("POST", "/admin/login", body, {**OWN, **kind}).status in (400, 413)
    assert office.request("POST", "/admin/login", body, OWN).status == 415
