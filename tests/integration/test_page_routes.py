"""Which addresses the status page has, and what every answer from there says to the browser."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.routes import ASSETS, PAGE
from app.status_page.assets import address_of
from tests.client import Reply
from tests.gateway import Gateway
from tests.page import BOSS, DATA, RELOAD, Page

STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.fixture(scope="module")
def gateway(gateway_of: Callable[[Any], Gateway]) -> Gateway:
    return gateway_of({"boss": BOSS})


def answers(page: Page) -> Iterator[tuple[str, Reply]]:
    yield "the page", page.get("/admin/")
    yield "the form", Page(page.gateway).get("/admin/")
    yield "a refusal", Page(page.gateway).log_in("sk-wrong-0123456789abcdef")
    yield "data", page.get(DATA)
    yield "no session", Page(page.gateway).get(DATA)
    yield "a reload", page.act(RELOAD)
    yield "logged out", page.form("/admin/logout", {"csrf": page.token})


def test_every_answer_binds_the_browser_and_is_not_kept(page: Page) -> None:
    for name, reply in answers(page):
        assert reply.headers["content-security-policy"] == STRICT, name
        assert reply.headers["cache-control"] == "no-store", name
        assert reply.headers["x-content-type-options"] == "nosniff", name
        assert reply.headers["x-frame-options"] == "DENY", name
        assert reply.headers["referrer-policy"] == "same-origin", name


@pytest.mark.parametrize("since", ["", "x", "-1", "9" * 400, "1&since=2", "%00", "%D9%A1"])
def test_whatever_step_is_asked_for_it_is_answered(page: Page, since: str) -> None:
    assert page.get(f"{DATA}?since={since}").status == 200


def test_a_poll_is_small(page: Page) -> None:
    assert len(page.get(f"{DATA}?since=999999999").body) < 1000
    assert len(page.get("/admin/").body) < 20_000


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_assets_are_kept_by_browsers_under_their_digest(gateway: Gateway, name: str) -> None:
    kept, plain = gateway.request("GET", address_of(name)), gateway.request("GET", ASSETS[name])

    assert (kept.status, kept.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert plain.headers["cache-control"] == "no-cache"
    assert kept.body == plain.body
    assert kept.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in kept.headers


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", sorted({route.path for route in PAGE}))
def test_other_methods_do_not_exist(page: Page, path: str, method: str) -> None:
    reply = page.send(method, path, None, {"X-CSRF-Token": page.token})

    assert reply.status == 405


@pytest.mark.parametrize(
    "target", ["/admin", "/admin/page", "/admin/page/", "/admin/page/x.js", "/admin/page/../status",
               "/admin/page/uplot.LICENSE", "/admin/page/views.py", "/admin/login/", "/admin/page/page.js/"]
)  # fmt: skip
def test_no_other_spelling_exists(page: Page, target: str) -> None:
    assert page.get(target).status == 404
