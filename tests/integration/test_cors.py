"""What pages of other origins may ask, and what nobody may."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.routes import OWN, RELAYED, Access, Route
from tests.client import KEY, Reply
from tests.fake_vllm import FakeVllmThread
from tests.gateway import Gateway, chat_body

PAGE, OTHER = "https://chat.example", "https://other.example"
OPEN = [route for route in RELAYED + OWN if route.access in (Access.PUBLIC, Access.INFERENCE)]
CLOSED = [route for route in OWN if route not in OPEN]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, upstream: FakeVllmThread) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("opened")
    origins = f"{PAGE},http://localhost:3000"
    with Gateway(folder, upstream.url, WEB_CONCURRENCY=1, CORS_ALLOWED_ORIGINS=origins) as running:
        running.wait_ready()
        yield running


def asked(gateway: Gateway, target: str, method: str, origin: str = PAGE, names: str = "") -> Reply:
    """The question that a browser asks before the request itself, without a key."""
    fields = {"Origin": origin, "Access-Control-Request-Method": method}
    wanted = {"Access-Control-Request-Headers": names} if names else {}
    return gateway.request("OPTIONS", target, headers={**fields, **wanted})


def of_cors(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("route", OPEN, ids=lambda route: route.path)
def test_a_page_may_ask_without_a_key(opened: Gateway, route: Route) -> None:
    reply = asked(opened, route.path, route.method, names="authorization,content-type,cookie")

    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert route.method in reply.headers["access-control-allow-methods"].split(", ")
    assert reply.headers["access-control-allow-headers"] == "authorization, content-type"
    assert reply.headers["access-control-max-age"] == "7200"
    assert "access-control-allow-credentials" not in reply.headers
    assert "Origin" in reply.headers["vary"]


def test_a_question_has_a_line_of_its_own(opened: Gateway) -> None:
    reply = asked(opened, "/v1/messages?beta=true", "POST")

    line = opened.log_line(request_id=reply.request_id)
    assert (line["status"], line["route"], line["key_name"]) == (204, "/v1/messages", None)


def test_a_models_own_route_may_be_asked_for(opened: Gateway) -> None:
    assert asked(opened, "/v1/models/fake%2Fmodel-1", "GET").status == 204


@pytest.mark.parametrize(
    ("target", "origin", "fields", "status"),
    [
        ("/v1/models", OTHER, {"Access-Control-Request-Method": "GET"}, 405),
        ("/v1/models", "null", {"Access-Control-Request-Method": "GET"}, 405),
        ("/v1/models", f"{PAGE}.evil.example", {"Access-Control-Request-Method": "GET"}, 405),
        ("/v1/models", PAGE, {}, 405),
        ("/v1/nothing", PAGE, {"Access-Control-Request-Method": "GET"}, 404),
        ("*", PAGE, {"Access-Control-Request-Method": "GET"}, 404),
    ],
)
def test_what_is_no_question_of_an_allowed_page_is_refused_as_ever(
    opened: Gateway, target: str, origin: str, fields: dict[str, str], status: int
) -> None:
    reply = opened.request("OPTIONS", target, headers={"Origin": origin, **fields})

    assert reply.status == status
    assert "access-control-allow-methods" not in reply.headers
    assert (reply.headers.get("access-control-allow-origin") == PAGE) is (origin == PAGE)


@pytest.mark.parametrize("route", CLOSED, ids=lambda route: f"{route.method} {route.path}")
def test_what_operators_call_is_open_to_no_page(opened: Gateway, route: Route) -> None:
    question = asked(opened, route.path, route.method)
    answer = opened.request(route.method, route.path, headers={"Origin": PAGE, "X-API-Key": KEY})

    assert question.status == 405
    assert not of_cors(question)
    assert not of_cors(answer)
    assert "vary" not in answer.headers


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_page_may_read_an_answer_and_what_it_needs_of_its_head(opened: Gateway, is_stream: bool) -> None:
    fields = {"X-API-Key": KEY, "Origin": PAGE}
    reply = opened.request("POST", "/v1/chat/completions", chat_body(stream=is_stream), fields)

    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert reply.headers["vary"] == "Origin"
    assert {"X-Request-Id", "Retry-After"} <= {*reply.headers["access-control-expose-headers"].split(", ")}


@pytest.mark.parametrize(
    ("target", "key", "status"),
    [("/v1/models", "sk-wrong", 401), ("/v1/nothing", KEY, 404), ("/v1/chat/completions", KEY, 405)],
)
def test_a_page_may_read_a_refusal(opened: Gateway, target: str, key: str, status: int) -> None:
    reply = opened.request("GET", target, headers={"X-API-Key": key, "Origin": PAGE})

    assert reply.status == status
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert reply.headers["vary"] == "Origin"


def test_a_page_may_read_why_the_upstream_failed(opened: Gateway) -> None:
    body = chat_body(stream=True, fake={"status": 400})
    reply = opened.request("POST", "/v1/chat/completions", body, {"X-API-Key": KEY, "Origin": PAGE})

    assert reply.status == 400
    assert reply.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("fields", [{"Origin": OTHER}, {}])
def test_an_answer_says_that_it_depends_on_the_origin_also_to_others(
    opened: Gateway, fields: dict[str, str]
) -> None:
    reply = opened.request("GET", "/v1/models", headers={"X-API-Key": KEY, **fields})

    assert (reply.status, reply.headers["vary"]) == (200, "Origin")
    assert not of_cors(reply)


def test_a_star_opens_it_to_every_page(tmp_path: Path, upstream: FakeVllmThread) -> None:
    with Gateway(tmp_path, upstream.url, WEB_CONCURRENCY=1, CORS_ALLOWED_ORIGINS="*") as gateway:
        gateway.wait_ready()
        question = asked(gateway, "/v1/models", "GET", origin="null")
        answer = gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY, "Origin": OTHER})

    assert question.status == 204
    assert question.headers["access-control-allow-origin"] == "*"
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")


def test_without_the_setting_nothing_speaks_of_origins(gateway: Gateway) -> None:
    question = asked(gateway, "/v1/models", "GET")
    answer = gateway.request("GET", "/v1/models", headers={"X-API-Key": KEY, "Origin": PAGE})

    assert (question.status, question.headers["allow"]) == (405, "GET")
    assert answer.status == 200
    assert not of_cors(question) | of_cors(answer)
    assert "vary" not in answer.headers
