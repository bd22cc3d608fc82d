"""What a client may ask of the installed vLLM is known, field by field."""

import pytest

from tests.e2e.vllm_fields import FIELDS, installed_fields
from tests.e2e.vllm_routes import RELAYED


def test_every_relayed_route_is_listed() -> None:
    assert {("POST", route) for route in FIELDS} == RELAYED


@pytest.mark.parametrize("route", FIELDS)
def test_the_fields_of_the_installed_vllm_are_those_that_are_listed(route: str) -> None:
    found = installed_fields()[route]

    assert found - FIELDS[route] == set()
    assert FIELDS[route] - found == set()
