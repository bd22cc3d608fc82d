"""How a request to the upstream can fail, in our own terms."""

import http.client
import re

import pytest
import requests
import responses
from urllib3.exceptions import ProtocolError

from app.errors import GatewayError, UpstreamError
from app.transport import PlainConnection, TlsConnection, UnixConnection, UpstreamAdapter
from app.unavailable import UpstreamUnavailable
from app.upstream import Call, Upstream

ANY = re.compile(".*")
RESET = ConnectionResetError(104, "reset")
REMOTE_END = http.client.RemoteDisconnected("Remote end closed connection without response")


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (requests.ConnectionError(ProtocolError("aborted", REMOTE_END)), UpstreamUnavailable),
        (requests.ConnectionError(ProtocolError("aborted", RESET)), UpstreamUnavailable),
        (requests.ConnectionError(), UpstreamUnavailable),
        (requests.ConnectTimeout("slow"), UpstreamUnavailable),
        (requests.ConnectionError(ProtocolError("x", http.client.BadStatusLine("x"))), UpstreamError),
        (requests.ConnectionError(ProtocolError("x", http.client.LineTooLong("header"))), UpstreamError),
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


@pytest.mark.parametrize(
    ("url", "kind"),
    [("http://h", PlainConnection), ("https://h", TlsConnection), ("unix:///run/vllm.sock", UnixConnection)],
)
def test_each_kind_of_url_has_its_kind_of_connection(url: str, kind: type) -> None:
    assert issubclass(UpstreamAdapter(url).pool.ConnectionCls, kind)
