"""Header fields cross by rule, each way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from app.headers import PASSED_DOWN, SAFE_TYPE, UNBUFFERED, to_client, to_upstream
from app.trace_context import TraceContext

STAY_BEHIND = [
    *(
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Connection",
        "TE",
        "Transfer-Encoding",
        "Trailer",
    ),
    *("Content-Length", "Date", "Location", "Server", "Set-Cookie", "Via", "X-Powered-By", "X-Request-Id"),
    *(
        "X-Unknown",
        "",
        "Content-Typ",
        "Content-Types",
        "X-Content-Type",
        "Content-Type ",
        "Content_Type",
        "Age\n",
    ),
    *(
        "openai-organization",
        "anthropic-organization-id",
        "openai-",
        "openai",
        "openai-x_y",
        "x-ratelimit-\u00e9",
    ),
]


def up(secret: bytes = b"s", **fields: str) -> dict[str, str]:
    headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
    return to_upstream(headers, "req_1", secret, None, has_body=True)


def test_only_named_fields_go_up() -> None:
    passed = up(Accept="*/*", anthropic_beta="b", Cookie="c", Authorization="a", X_Forwarded_For="1.2.3.4")

    assert passed == {
        "Accept": "*/*",
        "anthropic-beta": "b",
        "Content-Type": "application/json",
        "X-Request-Id": "req_1",
    }


@pytest.mark.parametrize("value", ["\x01", "\xff", "a\tb"])
def test_a_value_with_odd_characters_stays_behind(value: str) -> None:
    assert "Accept" not in up(Accept=value)


def test_the_trace_that_goes_up_is_the_one_that_was_found() -> None:
    found = TraceContext("4" * 32, "7" * 16, 1, "a=b")
    sent = Headers({"traceparent": f"00-{'5' * 32}-{'6' * 16}-01", "tracestate": "c=d"})

    passed = to_upstream(sent, "req_1", b"s", found, has_body=False)
    without = to_upstream(sent, "req_1", b"s", None, has_body=False)

    assert (passed["traceparent"], passed["tracestate"]) == (f"00-{'4' * 32}-{'7' * 16}-01", "a=b")
    assert without == {"X-Request-Id": "req_1"}


def test_sessions_of_two_keys_never_meet() -> None:
    one, same, other = up(b"1", X_Session_ID="s"), up(b"1", X_Session_ID="s"), up(b"2", X_Session_ID="s")

    assert one["X-Session-ID"] == same["X-Session-ID"] != other["X-Session-ID"]


@pytest.mark.parametrize("name", STAY_BEHIND)
def test_a_field_that_no_client_reads_stays_behind(name: str) -> None:
    assert to_client([(name, "x"), (name.upper(), "x")], is_stream=False) == [*SAFE_TYPE.items()]


def test_a_field_named_in_connection_stays_behind() -> None:
    fields = [("ETag", "1"), ("Age", "2"), ("Connection", "close, etag")]

    assert to_client(fields, is_stream=False) == [("Age", "2"), *SAFE_TYPE.items()]


def test_meaningful_fields_pass_with_their_repetitions() -> None:
    fields = [
        ("Content-Type", "text/event-stream"),
        ("Vary", "1"),
        ("vary", "2"),
        ("Cache-Control", "private"),
    ]

    assert to_client(fields, is_stream=False) == [*fields, *SAFE_TYPE.items()]
    assert ("Cache-Control", "no-cache, no-transform") in to_client(fields, is_stream=True)
    assert ("Cache-Control", "private") not in to_client(fields, is_stream=True)


field_names = st.sampled_from(
    [
        "Accept",
        "anthropic-version",
        "traceparent",
        "X-Session-ID",
        "Authorization",
        "X-API-Key",
        "Cookie",
        "Host",
    ]
    + [
        "Connection",
        "X-Forwarded-For",
        "Content-Length",
        "Set-Cookie",
        "X-A",
        "x-b",
        "Content-Type",
        "bad name",
    ]
)
field_values = st.text(st.characters(max_codepoint=255), max_size=12) | st.sampled_from(["x-a", "close, X-B"])
fields = st.lists(st.tuples(field_names, field_values), max_size=8)
MAY_GO_UP = {"Accept", "anthropic-version", "anthropic-beta", "X-Session-ID"}


@given(fields)
def test_whatever_a_client_sends_only_safe_values_of_named_fields_go_up(sent: list[tuple[str, str]]) -> None:
    client = Headers()
    for name, value in sent:
        client.add(name, value.replace("\r", "").replace("\n", ""))

    passed = to_upstream(client, "req_1", b"s", None, has_body=False)

    assert passed.keys() - {"X-Request-Id"} <= MAY_GO_UP & set(client.keys())
    assert all(value.isascii() and value.isprintable() for value in passed.values())
    assert passed.get("X-Session-ID") is None or passed["X-Session-ID"] != client["X-Session-ID"]


@given(fields, st.booleans())
def test_whatever_an_upstream_sends_safe_fields_pass_in_their_order(
    sent: list[tuple[str, str]], is_stream: bool
) -> None:
    passed = to_client(sent, is_stream=is_stream)

    added = (*SAFE_TYPE.items(), *UNBUFFERED.items())
    kept = [field for field in passed if field not in added]
    waiting = iter(sent)
    assert all(field in waiting for field in kept)
    for name, value in kept:
        assert PASSED_DOWN.fullmatch(name)
        assert not set(value) & {"\r", "\n", "\0"}
