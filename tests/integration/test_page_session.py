"""Who may see the status page, for how long, and what its forms need; on the wire, with two workers."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.routes import PAGE, Access
from app.throttle import DELAY_SECONDS, PER_MINUTE
from tests.client import KEY
from tests.everywhere import reload
from tests.gateway import Gateway, chat_body, wait_until
from tests.page import ADMIN, BOSS, DATA, OWN, PLAYGROUND, RELOAD, Page
from tests.strangers import ask_wrong

GUEST = "sk-guest-0123456789abcdef"
KEYS = {"boss": BOSS, "tester": KEY, "seer": {"key": GUEST, "scopes": ["admin"]}}
FORMS = 8  # that are within the budget: few enough that it is hardly refilled meanwhile
SESSION_ROUTES = [route for route in PAGE if route.access is Access.SESSION]


@pytest.fixture(scope="module")
def office(gateway_of: Callable[[Any], Gateway]) -> Gateway:
    """A gateway that nobody changes."""
    return gateway_of(KEYS)


@pytest.fixture
def page(office: Gateway) -> Page:
    page = Page(office)
    assert page.log_in().status == 303
    return page


@pytest.fixture
def start(start_gateway: Callable[..., Gateway], tmp_path: Path) -> Callable[..., Gateway]:
    def begin(keys: dict[str, Any] = KEYS, **settings: Any) -> Gateway:
        (tmp_path / "keys.json").write_text(json.dumps(keys))
        gateway = start_gateway(**settings)
        gateway.wait_ready()
        return gateway

    return begin


def test_who_has_no_session_is_asked_for_a_key(office: Gateway) -> None:
    for target in ("/admin/", "/admin/login"):
        reply = Page(office).get(target)

        assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b'<form method="post" action="/admin/login"' in reply.body
        assert b"boss" not in reply.body


def test_an_admins_key_begins_a_session_that_every_worker_knows(office: Gateway) -> None:
    page = Page(office)

    reply = page.log_in()

    assert (reply.status, reply.headers["location"]) == (303, "/admin/")
    assert {page.get("/admin/").status for _ in range(20)} == {200}
    assert {page.send("GET", DATA, None, {}).status for _ in range(20)} == {200}


def test_the_cookie_is_for_this_page_alone_and_no_script_reads_it(office: Gateway) -> None:
    name, *attributes = Page(office).log_in().headers["set-cookie"].split("; ")

    assert name.startswith("gateway_session=")
    assert sorted(attributes)[1:] == ["HttpOnly", "Max-Age=28800", "Path=/admin/", "SameSite=Strict"]
    assert sorted(attributes)[0].startswith("Expires=")


@pytest.mark.parametrize(
    ("hops", "told", "secure"), [(0, "https", False), (1, "https", True), (1, "http", False), (1, "", False)]
)
def test_the_cookie_is_secure_where_a_trusted_proxy_says_https(
    start: Callable[..., Gateway], hops: int, told: str, secure: bool
) -> None:
    reply = Page(start(TRUSTED_PROXY_HOPS=hops)).log_in(X_Forwarded_Proto=told)

    assert ("Secure" in reply.headers["set-cookie"].split("; ")) is secure


@pytest.mark.parametrize(
    ("key", "status", "words"),
    [
        ("", 401, "no valid key"),
        ("sk-wrong-0123456789abcdef", 401, "no valid key"),
        (KEY, 403, "scope admin"),
    ],
)
def test_any_other_key_begins_none(office: Gateway, key: str, status: int, words: str) -> None:
    reply = Page(office).log_in(key)

    assert reply.status == status
    assert words in reply.body.decode()
    assert b'action="/admin/login"' in reply.body
    assert "set-cookie" not in reply.headers


def test_where_no_key_is_an_admins_it_says_how_to_make_one(start: Callable[..., Gateway]) -> None:
    reply = Page(start({"tester": KEY})).log_in(KEY)

    assert reply.status == 403
    assert "keys add --name operator --scope admin" in reply.body.decode()


def test_a_key_in_the_address_or_a_header_begins_none(office: Gateway) -> None:
    visitor = Page(office)

    assert b"boss" not in visitor.get(f"/admin/?key={ADMIN}").body
    assert b"boss" not in visitor.get("/admin/", X_API_Key=ADMIN).body
    assert visitor.get(DATA, X_API_Key=ADMIN).status == 401


@pytest.mark.parametrize("route", SESSION_ROUTES, ids=lambda route: route.path)
@pytest.mark.parametrize("headers", [{}, {"X-API-Key": ADMIN}], ids=["nothing", "a key"])
def test_without_a_session_nothing_is_told_or_done(
    office: Gateway, route: Any, headers: dict[str, str]
) -> None:
    reply = office.request(
        route.method, route.path, b"" if route.method == "POST" else None, {**OWN, **headers}
    )

    assert (reply.status, reply.error_code) == (401, "session_required")


def test_logging_out_ends_the_session_in_every_worker(page: Page) -> None:
    reply = page.form("/admin/logout", {"csrf": page.token})

    assert (reply.status, reply.headers["location"]) == (303, "/admin/")
    assert reply.headers["set-cookie"].startswith("gateway_session=;")
    assert {page.get(DATA).status for _ in range(20)} == {401}


def test_a_key_that_is_revoked_ends_its_sessions_at_once(start: Callable[..., Gateway]) -> None:
    gateway = start()
    boss, seer = Page(gateway), Page(gateway)
    boss.log_in()
    seer.log_in(GUEST)
    gateway.keys_file.write_text(json.dumps({**KEYS, "seer": {**KEYS["seer"], "disabled": True}}))
    assert reload(gateway, key=ADMIN).status == 200

    assert {seer.get(DATA).status for _ in range(20)} == {401}
    assert boss.get(DATA).status == 200


def test_a_key_that_loses_its_scope_ends_its_sessions_at_once(start: Callable[..., Gateway]) -> None:
    gateway = start()
    seer = Page(gateway)
    seer.log_in(GUEST)
    gateway.keys_file.write_text(json.dumps({**KEYS, "seer": GUEST}))
    reload(gateway, key=ADMIN)

    assert {seer.get(DATA).status for _ in range(20)} == {401}
    assert b'action="/admin/login"' in seer.get("/admin/").body


def test_a_reload_that_revokes_the_own_key_asks_to_log_in(start: Callable[..., Gateway]) -> None:
    gateway = start()
    seer = Page(gateway)
    seer.log_in(GUEST)
    gateway.keys_file.write_text(json.dumps({"boss": BOSS}))

    reply = seer.form(RELOAD, {"csrf": seer.token})

    assert reply.status == 401
    assert b'action="/admin/login"' in reply.body


def test_a_session_outlives_workers_that_are_replaced(start: Callable[..., Gateway]) -> None:
    gateway = start()
    page = Page(gateway)
    page.log_in()
    before = gateway.worker_pids()
    gateway.kill_workers()
    wait_until(lambda: gateway.is_alive() and not gateway.worker_pids() & before, 15)

    assert page.get(DATA).status == 200


def test_another_instance_asks_to_log_in(page: Page, start: Callable[..., Gateway]) -> None:
    other = Page(start())
    other.cookie = page.cookie

    assert other.get(DATA).status == 401


def test_wrong_keys_in_the_form_have_the_budget_of_wrong_keys(start: Callable[..., Gateway]) -> None:
    gateway = start(WEB_CONCURRENCY=1)
    visitor = Page(gateway)
    with gateway.connect() as client:
        ask_wrong(client, PER_MINUTE - FORMS)
    for number in range(FORMS + 2):
        assert visitor.log_in(f"sk-wrong-{number:016}").status == 401
    began = time.monotonic()

    for _ in range(4):
        visitor.log_in("sk-wrong-0123456789abcdef")
    seconds = time.monotonic() - began

    assert seconds >= 2 * DELAY_SECONDS  # some of them are within the budget again
    assert visitor.log_in().status == 303


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=300))
def test_a_cookie_of_rubbish_is_no_session(office: Gateway, rubbish: str) -> None:
    for cookie in (f"gateway_session={rubbish}", rubbish):
        assert office.request("GET", DATA, headers={"Cookie": cookie}).status == 401


def test_a_session_without_scope_inference_may_look_but_not_try(office: Gateway) -> None:
    seer = Page(office)
    seer.log_in(GUEST)

    assert b"no scope <code>inference</code>" in seer.get("/admin/").body
    reply = seer.act(PLAYGROUND, chat_body(stream=True))
    assert (reply.status, reply.error_code) == (403, "insufficient_scope")


def test_a_session_opens_no_other_route(page: Page) -> None:
    for target in ("/admin/status", "/v1/models", "/admin/reload-keys"):
        assert page.get(target).status == 401
    assert page.act("/v1/chat/completions", chat_body(stream=False)).status == 401
