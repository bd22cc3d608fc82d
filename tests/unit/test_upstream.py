"""How a request to the upstream can fail, in our own terms."""

import re

import pytest
import requests
import responses

from app.errors import GatewayError, UpstreamError
from app.unavailable import UpstreamUnavailable
from app.upstream import Call, Upstream

ANY = re.compile(".*")


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (requests.ConnectionError(ConnectionResetError(104, "reset")), UpstreamUnavailable),
        (requests.ConnectionError(), UpstreamUnavailable),
        (requests.ConnectTimeout("slow"), UpstreamUnavailable),
        (requests.exceptions.InvalidHeader("x"), UpstreamError),
        (UnicodeEncodeError("latin-1", "x", 0, 1, "x"), UpstreamError),
    ],
)
@responses.activate
def test_a_failure_is_translated_with_its_cause(failure: Exception, expected: type[GatewayError]) -> None:
    responses.add(responses.POST, ANY, body=failure)

    with pytest.raises(expected) as caught:
        Upstream("http://127.0.0.1:1").open(Call("POST", "/v1/completions", {}, b"{}"))

    assert type(caught.value) is expected
    assert caught.value.__cause__ is failure


@responses.activate
def test_the_upstream_sees_a_constant_host_and_asks_for_no_compression() -> None:
    responses.add(responses.GET, ANY, body=requests.ConnectionError())

    with pytest.raises(UpstreamUnavailable):
        Upstream("http://vllm.example:8000").open(Call("GET", "/v1/models", {"Accept": "*/*"}))

    sent = responses.calls[0].request
    assert sent.url == "/v1/models"
    assert sent.headers["Host"] == "vllm.example:8000"
    assert sent.headers["Accept-Encoding"] == "identity"


@responses.activate
def test_nothing_is_promised_about_a_body_that_is_not_there() -> None:
    responses.add(responses.GET, ANY, body=requests.ConnectionError())

    with pytest.raises(UpstreamUnavailable):
        Upstream("http://127.0.0.1:1").open(Call("GET", "/v1/models", {}))

    assert "Content-Length" not in responses.calls[0].request.headers


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "a\rb"])
def test_a_line_end_within_a_field_goes_nowhere(value: str) -> None:
    with pytest.raises(UpstreamError):
        Upstream("http://127.0.0.1:1").open(Call("GET", "/health", {"Accept": value}))
