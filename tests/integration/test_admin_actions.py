"""Every action of an operator leaves a line that says who, what, and how it went."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.routes import TABLE, Access, Route, changes_gateway, is_for_operators
from app.throttle import PER_MINUTE
from tests.client import KEY, Reply
from tests.gateway import Gateway, wait_until
from tests.page import Page
from tests.strangers import ask_wrong

BOSS = "sk-boss-0123456789abcdef"
KEYS = {"tester": {"key": KEY, "id": "t-1"}, "boss": {"key": BOSS, "id": "b-1", "scopes": ["admin"]}}
FOR_OPERATORS = [
    route for path, methods in TABLE.items() if is_for_operators(path) for route in methods.values()
]
CHANGING = [route for route in FOR_OPERATORS if changes_gateway(route.method, route.path)]
READING = [route for route in FOR_OPERATORS if route not in CHANGING]
WITH_KEY = [route for route in FOR_OPERATORS if route.access in (Access.ADMIN, Access.RELOAD)]
OF_THE_PAGE = [route for route in CHANGING if route.access is Access.SESSION]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    started = start_gateway(WEB_CONCURRENCY=1)
    started.keys_file.write_text(json.dumps(KEYS))
    assert started.request("POST", "/admin/reload-keys", headers={"X-API-Key": KEY}).status == 200
    return started


def call(gateway: Gateway, route: Route, key: str) -> Reply:
    body = {} if route.method == "POST" else None
    return gateway.request(route.method, route.path, body, {"X-API-Key": key})


def audited(gateway: Gateway, reply: Reply) -> list[dict[str, Any]]:
    """The audit lines of a request, which are there when its own line is."""
    gateway.log_line(message="request", request_id=reply.request_id)
    return gateway.log_lines(logger="gateway.audit", request_id=reply.request_id)


def test_some_routes_change_something_and_some_do_not() -> None:
    assert {name_of(route) for route in CHANGING} >= {"GET /admin/reload-keys", "POST /admin/reload-keys"}
    assert "GET /admin/status" in {name_of(route) for route in READING}


@pytest.mark.parametrize("route", [route for route in CHANGING if route in WITH_KEY], ids=name_of)
def test_whatever_changes_something_is_told_once(gateway: Gateway, route: Route) -> None:
    reply = call(gateway, route, BOSS)

    [line] = audited(gateway, reply)
    assert line["message"] == "admin action"
    assert (line["by"], line["key_id"], line["peer"]) == ("boss", "b-1", "127.0.0.1")
    assert line["result"] == ("done" if reply.status < 400 else "failed")


@pytest.mark.parametrize("route", OF_THE_PAGE, ids=name_of)
def test_whatever_a_session_changes_is_told_once(gateway: Gateway, route: Route) -> None:
    page = Page(gateway)
    page.log_in(BOSS)

    [line] = audited(gateway, page.act(route.path, {}))
    assert (line["by"], line["key_id"], line["peer"]) == ("boss", "b-1", "127.0.0.1")


def test_a_login_is_told_with_whose_key_it_was(gateway: Gateway) -> None:
    [done] = audited(gateway, Page(gateway).log_in(BOSS))
    [refused] = audited(gateway, Page(gateway).log_in(KEY))
    [wrong] = audited(gateway, Page(gateway).log_in("sk-wrong-0123456789"))

    assert [(line["result"], line["by"]) for line in (done, refused, wrong)] == [
        *(("done", "boss"), ("refused", "tester"), ("refused", None))
    ]


@pytest.mark.parametrize("route", [route for route in READING if route in WITH_KEY], ids=name_of)
def test_looking_is_no_action(gateway: Gateway, route: Route) -> None:
    assert audited(gateway, call(gateway, route, BOSS)) == []


@pytest.mark.parametrize("route", WITH_KEY, ids=name_of)
def test_who_may_not_do_it_is_told_with_the_reason(gateway: Gateway, route: Route) -> None:
    reply = call(gateway, route, KEY)

    assert reply.status == 403
    [line] = audited(gateway, reply)
    assert (line["action"], line["result"], line["by"]) == (name_of(route), "refused", "tester")
    assert (line["reason"], line["status"]) == ("insufficient_scope", 403)


def test_a_reload_tells_what_it_changed_or_why_it_did_not(gateway: Gateway) -> None:
    reload = TABLE["/admin/reload-keys"]["POST"]
    gateway.keys_file.write_text(json.dumps({**KEYS, "new": "sk-new-0123456789abcdef"}))
    [done] = audited(gateway, call(gateway, reload, BOSS))
    gateway.keys_file.write_text("{")
    [failed] = audited(gateway, call(gateway, reload, BOSS))

    assert (done["result"], done["added_names"]) == ("done", ["new"])
    assert (failed["result"], failed["severity"]) == ("failed", "WARNING")
    assert "not one JSON object" in failed["reason"]


def test_a_reload_that_is_asked_for_wrongly_is_told(gateway: Gateway) -> None:
    reply = gateway.request("POST", "/admin/reload-keys?version=x", headers={"X-API-Key": BOSS})

    [line] = audited(gateway, reply)
    assert (line["action"], line["result"]) == ("POST /admin/reload-keys", "failed")
    assert (line["reason"], line["by"]) == ("invalid_field", "boss")


def test_strangers_have_no_more_of_these_lines_than_of_others(gateway: Gateway) -> None:
    tries = PER_MINUTE + 5
    with gateway.connect() as client:
        ask_wrong(client, tries, "/admin/status")
    wait_until(lambda: len(gateway.log_lines(message="request", status=401)) >= PER_MINUTE)

    lines = gateway.log_lines(logger="gateway.audit", status=401)
    assert len(lines) == len(gateway.log_lines(message="request", status=401)) < tries
    assert {(line["result"], line["by"], line["reason"]) for line in lines} == {
        ("refused", None, "missing_or_invalid_key")
    }
