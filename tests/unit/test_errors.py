"""Every error is one that clients read rightly."""

import re
from typing import Any

import pytest

from app.broken import BrokenStream
from app.error_body import error_body
from app.errors import GatewayError
from app.unavailable import Unavailable

# What makes OpenCode 1.18.33 try a refusal again, wherever it stands in the body.
RETRIED = re.compile(
    r"429|500|502|503|504|524|rate.limit|too many requests|overloaded|service unavailable|internal error"
    r"|server error|terminated|fetch failed|network error|connection (error|refused|lost)|timed? ?out"
    r"|try your request again|retry your request|resource exhausted|try again (later|in)|at capacity",
    re.IGNORECASE,
)
# What makes it compact the conversation instead of telling its user.
OVERFLOW = re.compile(r"too long|too large|too many tokens|exceeds|context|maximum", re.IGNORECASE)


def every_error(kind: type[GatewayError] = GatewayError) -> list[type[GatewayError]]:
    return [kind, *(e for child in kind.__subclasses__() for e in every_error(child))]


def refusals() -> list[type[GatewayError]]:
    return [e for e in every_error() if 400 <= e.status < 500 and not issubclass(e, BrokenStream)]


ARGUMENTS: dict[str, tuple[Any, ...]] = {"MethodNotAllowed": ("GET",), "ModelLoading": ("weights", 400)}


def make(kind: type[GatewayError]) -> GatewayError:
    return kind(*ARGUMENTS.get(kind.__name__, ()))


@pytest.mark.parametrize("kind", refusals())
def test_a_refusal_is_final_for_clients(kind: type[GatewayError]) -> None:
    text = str(error_body(make(kind)))

    assert not RETRIED.search(text.replace("request_timeout", ""))
    assert not re.search(r"\d{3}", text)
    if kind.status not in (413, 414, 431):
        assert not OVERFLOW.search(text)


@pytest.mark.parametrize("kind", [e for e in every_error() if issubclass(e, Unavailable)])
def test_every_503_says_when_to_come_back(kind: type[GatewayError]) -> None:
    assert 1 <= int(make(kind).headers()["Retry-After"]) <= 59


def test_codes_and_statuses_are_those_of_the_contract() -> None:
    table = {(e.code, e.status) for e in every_error() if not issubclass(e, BrokenStream)}

    assert table >= {
        ("missing_or_invalid_key", 401), ("ambiguous_credentials", 400), ("insufficient_scope", 403),
        ("route_not_found", 404), ("method_not_allowed", 405), ("invalid_json", 400),
        ("invalid_field", 400), ("request_timeout", 408), ("request_too_large", 413),
        ("unsupported_media_type", 415), ("bad_request", 400), ("bad_request", 414),
        ("bad_request", 417), ("bad_request", 431), ("keys_unavailable", 503),
        ("model_loading", 503), ("upstream_unavailable", 503), ("draining", 503),
        ("upstream_error", 502), ("upstream_timeout", 504),
    }  # fmt: skip
    assert {e.code for e in BrokenStream.__subclasses__()} >= {
        "upstream_lost", "idle_timeout", "deadline_exceeded", "server_shutdown",
    }  # fmt: skip


def test_each_api_gets_its_own_shape() -> None:
    error = every_error()[2]()

    assert set(error_body(error)["error"]) == {"message", "type", "param", "code"}
    assert error_body(error, anthropic=True)["type"] == "error"
