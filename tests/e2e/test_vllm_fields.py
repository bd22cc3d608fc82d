"""What a client may ask of the installed vLLM is known to the field policy, field by field."""

import pytest

from app.policy import FIELDS, SALTED
from app.routes import RELAYED
from tests.e2e.vllm_routes import installed

ROUTES = [route.path for route in RELAYED]


def fields_of(route: str) -> set[str]:
    """Those of every model that a body of this route may be."""
    return {name for model in installed()["fields"][route].values() for name in model}


@pytest.mark.parametrize("route", ROUTES)
def test_every_field_of_the_installed_vllm_has_a_rule(route: str) -> None:
    assert fields_of(route) - FIELDS.keys() == set()


def test_the_cache_is_salted_wherever_vllm_has_one() -> None:
    assert {route for route in ROUTES if "cache_salt" in fields_of(route)} == SALTED
