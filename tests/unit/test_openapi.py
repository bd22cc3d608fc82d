"""The OpenAPI document says what the route table and the errors say."""

from typing import Any

import jsonschema
import pytest
import yaml

from app.broken import BrokenStream, ClientStalled, DeadlineExceeded
from app.error_body import error_body
from app.errors import (
    BadRequest,
    GatewayError,
    MethodNotAllowed,
    ReloadFailed,
    TargetTooLong,
)
from app.routes import MODEL_ROUTE, OWN, RELAYED, Access, Api, Route
from app.status_page.errors import PageError
from app.unavailable import ModelLoading, StoreSilent
from tests.fuzz.contract import DOCUMENT, load

CONTENT = yaml.safe_load(DOCUMENT.read_text())
ROUTES = (*RELAYED, *OWN, MODEL_ROUTE)
DETAILS = {"version": 1, "generation": 1, "keys": 1, "names": 1, "age_seconds": None, "reloaded": False}
MADE = {
    MethodNotAllowed: lambda: MethodNotAllowed("GET"),
    ModelLoading: lambda: ModelLoading("weights", 5),
    ReloadFailed: lambda: ReloadFailed(details=DETAILS),
    StoreSilent: lambda: StoreSilent(details=DETAILS),
}

BEFORE_THE_ROUTE = (TargetTooLong,)  # is known, and with it whose shape


def kinds_below(kind: type[GatewayError]) -> set[type[GatewayError]]:
    below = kind.__subclasses__()
    return set(below).union(*(kinds_below(each) for each in below))


BROKEN = kinds_below(BrokenStream) - {ClientStalled}  # which is told nothing
OF_THE_PAGE = kinds_below(PageError) | {PageError}  # which is for browsers, not a part of the API
ANSWERED = {
    kind
    for kind in kinds_below(GatewayError) - kinds_below(BrokenStream) - OF_THE_PAGE | {DeadlineExceeded}
    if not kind.__subclasses__()
} - {BrokenStream} | {GatewayError, BadRequest, ReloadFailed}
KINDS = sorted(ANSWERED, key=lambda kind: kind.__name__)


def operation_of(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = CONTENT["paths"][route.path][route.method.lower()]
    return operation


def responses_of(route: Route) -> dict[str, tuple[str, dict[str, Any]]]:
    """For each status its pointer in the document, and what stands there."""
    pointers = {status: each["$ref"] for status, each in operation_of(route)["responses"].items()}
    found = CONTENT["components"]["responses"]
    return {status: (pointer, found[pointer.rsplit("/", 1)[1]]) for status, pointer in pointers.items()}


def codes_in(schema: Any) -> set[str]:
    """Every error code that a schema names, references not followed."""
    if isinstance(schema, list):
        return set().union(*map(codes_in, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("code", {}).get("enum", ())) | codes_in(list(schema.values()))


def documented_codes(route: Route) -> set[tuple[int, str]]:
    return {
        (int(status), code)
        for status, (_, response) in responses_of(route).items()
        if status.isdigit()
        for code in codes_in(response["content"])
    }


def test_it_is_valid_by_openapis_own_schema() -> None:
    load()


def test_it_describes_exactly_the_routes() -> None:
    described = {(method.upper(), path) for path, item in CONTENT["paths"].items() for method in item}

    assert described == {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_either_credential_opens_what_is_not_public(route: Route) -> None:
    needed = operation_of(route).get("security", CONTENT["security"])

    assert needed == ([] if route.access is Access.PUBLIC else [{"ApiKey": []}, {"Bearer": []}])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_stream_is_described_where_there_are_streams(route: Route) -> None:
    _, response = responses_of(route)["200"]

    assert ("text/event-stream" in response["content"]) is route.streams


def test_it_knows_exactly_the_codes_that_can_be_answered() -> None:
    documented = set().union(*map(documented_codes, ROUTES))

    assert documented == {(kind.status, kind.code) for kind in ANSWERED}


@pytest.mark.parametrize("code", sorted(kind.code for kind in BROKEN))
def test_the_codes_of_broken_streams_are_told(code: str) -> None:
    assert f"`{code}`" in CONTENT["info"]["description"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_error_has_the_form_that_is_described(kind: type[GatewayError]) -> None:
    error = MADE.get(kind, kind)()
    described = [r for r in ROUTES if (kind.status, kind.code) in documented_codes(r)]
    speaking_anthropic = [r for r in ROUTES if r.api is Api.MESSAGES and str(kind.status) in responses_of(r)]

    assert described
    for route in (*described, *speaking_anthropic):
        pointer, response = responses_of(route)[str(kind.status)]
        content = error_body(error, anthropic=route.api is Api.MESSAGES and kind not in BEFORE_THE_ROUTE)
        schema = {**CONTENT, "$ref": f"{pointer}/content/application~1json/schema"}
        jsonschema.Draft202012Validator(schema).validate(content)
        assert error.headers().keys() | {"X-Request-Id"} <= response["headers"].keys()
        assert ("request-id" in response["headers"]) is (
            route.api is Api.MESSAGES and kind not in BEFORE_THE_ROUTE
        )


@pytest.mark.parametrize("route", [r for r in ROUTES if r.api is Api.MESSAGES], ids=lambda r: r.path)
def test_an_answer_that_is_relayed_to_anthropics_sdk_has_the_id_that_it_reads(route: Route) -> None:
    _, response = responses_of(route)["200"]

    assert "request-id" in response["headers"]
