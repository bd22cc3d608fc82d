"""What the installed vLLM could serve is known, and what clients must not reach is not there."""

import pytest

from app import routes
from tests.e2e.served import Served
from tests.e2e.vllm_routes import (
    BLOCKED,
    OFF,
    OWN,
    RELAYED,
    Route,
    all_of,
    inside_vllm,
    installed,
    routes_in_the_source,
    routes_of,
)

KNOWN = RELAYED | OWN | all_of(BLOCKED) | all_of(OFF)


def test_every_route_of_the_installed_vllm_is_classified_and_none_is_gone() -> None:
    found = routes_of(installed()) | routes_in_the_source()

    assert found - KNOWN == set()
    assert KNOWN - found == set()


def test_no_route_has_two_fates() -> None:
    tables = [RELAYED, OWN, *BLOCKED.values(), *OFF.values()]

    assert sum(map(len, tables)) == len(KNOWN)


def test_the_gateway_relays_exactly_what_is_to_be_relayed() -> None:
    assert {(route.method, route.path) for route in routes.RELAYED} == RELAYED
    assert {(route.method, route.path) for route in routes.OWN} >= OWN


def test_what_is_off_is_not_among_the_routes_of_vllm_as_it_is_started(served: Served) -> None:
    server = served.api_server()
    arguments = server.cmdline()
    arguments = arguments[arguments.index("vllm.entrypoints.openai.api_server") + 1 :]

    there = routes_of(inside_vllm("started", *arguments, environ=server.environ()))

    assert RELAYED & there
    assert there <= KNOWN - all_of(OFF)


@pytest.mark.parametrize("route", sorted(all_of(OFF)), ids=" ".join)
def test_what_is_off_is_not_there_on_vllms_own_socket(served: Served, route: Route) -> None:
    method, path = route
    status, _ = served.vllm_reply("GET" if method == "*" else method, path, {})

    assert status == 404


def test_vllm_does_answer_there(served: Served) -> None:
    assert served.vllm_reply("GET", "/health")[0] == 200
    assert served.vllm_reply("POST", "/health")[0] == 405
