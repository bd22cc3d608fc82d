"""What a request may say of its place in a trace."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.trace_context import TraceContext, find_context, parse_cloud_trace, parse_traceparent, usable_state

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"  # pragma: allowlist secret
NUMBER = int(SPAN, 16)


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-ff", 3),
        (f"cc-{TRACE}-{SPAN}-01", 1),
        (f"01-{TRACE}-{SPAN}-02-what-is-next", 2),
    ],
)
def test_a_valid_parent_goes_on_in_the_version_that_is_known(value: str, flags: int) -> None:
    context = parse_traceparent(value)

    assert context == TraceContext(TRACE, SPAN, flags)
    assert context.fields() == {"traceparent": f"00-{TRACE}-{SPAN}-{flags:02x}"}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01.more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
    ],
)
def test_what_is_no_parent_is_as_good_as_none(value: str) -> None:
    assert find_context({"HTTP_TRACEPARENT": value, "HTTP_TRACESTATE": "a=b"}) is None


@pytest.mark.parametrize(
    ("value", "flags"), [(f"{TRACE}/{NUMBER};o=1", 1), (f"{TRACE}/{NUMBER};o=0", 0), (f"{TRACE}/{NUMBER}", 0)]
)
def test_googles_field_counts_where_no_valid_parent_is(value: str, flags: int) -> None:
    environ = {"HTTP_X_CLOUD_TRACE_CONTEXT": value}

    assert find_context(environ) == TraceContext(TRACE, SPAN, flags)
    assert find_context({**environ, "HTTP_TRACEPARENT": "00-0-0-00"}) == TraceContext(TRACE, SPAN, flags)
    other = f"00-{'a' * 32}-{'b' * 16}-00"
    assert find_context({**environ, "HTTP_TRACEPARENT": other}) == TraceContext("a" * 32, "b" * 16)


@pytest.mark.parametrize(
    "value",
    [TRACE, f"{TRACE}/0;o=1", f"{TRACE}/{2**64}", f"{'0' * 32}/1", f"{TRACE}/x;o=1", f"{TRACE}/1;o=1;"],
)
def test_a_field_of_googles_without_both_ids_is_none(value: str) -> None:
    assert parse_cloud_trace(value) is None


def test_the_vendors_state_goes_on_beside_a_parent_only() -> None:
    parent = f"00-{TRACE}-{SPAN}-01"
    environ = {"HTTP_TRACEPARENT": parent, "HTTP_TRACESTATE": "congo=t61, ,rojo=00f0 x"}

    found = find_context(environ)
    assert found is not None
    assert found.fields() == {"traceparent": parent, "tracestate": "congo=t61,rojo=00f0 x"}
    assert find_context({"HTTP_TRACESTATE": "congo=t61"}) is None


@pytest.mark.parametrize(
    "state", ["=1", "A=1", "a", "a=b=c", "a=\x01", "a=é", "a=1," * 33, "a=" + "x" * 511, f"{'a' * 257}=1"]
)
def test_a_state_that_breaks_the_rules_is_dropped_whole(state: str) -> None:
    assert usable_state(f"{state},z=1") == ""


@given(st.text(st.characters(max_codepoint=255)), st.text(st.characters(max_codepoint=255)))
def test_whatever_comes_only_a_context_as_the_standard_has_it_goes_on(value: str, state: str) -> None:
    check(parse_traceparent(value, state))
    check(parse_cloud_trace(value))


@given(
    st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"),
    st.from_regex(r"[a-z0-9]{1,3}=[ -~]{0,9}(,[a-z@*/_-]{1,300}=[ -~\t]{0,300}){0,40}", fullmatch=True),
)
def test_whatever_looks_like_one_is_one_or_is_none(value: str, state: str) -> None:
    check(parse_traceparent(value, state))


def check(context: TraceContext | None) -> None:
    if context is None:
        return
    fields = context.fields()
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]", fields["traceparent"])
    assert int(context.trace_id, 16) > 0
    assert int(context.span_id, 16) > 0
    told = fields.get("tracestate", "a=b")
    assert len(told) <= 512
    assert told.isascii()
    assert told.isprintable()
