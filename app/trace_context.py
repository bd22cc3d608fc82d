"""Where a request stands in a distributed trace: what a client or a proxy in front said of it.

W3C Trace Context (https://www.w3.org/TR/trace-context/), and Google's older field, which Cloud Run sends too.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

# Of a version that is not known yet the first four parts mean the same, and what follows is left out.
TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-[\x20-\x7e]*)?"
)
KNOWN_VERSION = "00"
KNOWN_FLAGS = 0b11  # sampled, and (level 2) a trace id that is random
CLOUD = re.compile(
    r"(?P<trace>(?!0{32})[0-9a-f]{32})/(?P<span>[0-9]{1,20})(?:;o=(?P<options>[01]))?", re.ASCII
)
MEMBER = re.compile(
    r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
MAX_STATE_CHARS, MAX_MEMBERS = 512, 32  # what everyone has to pass on; more is dropped


class TraceContext(msgspec.Struct, frozen=True):
    """One span of a trace: ids in lower-case hex (32 and 16 digits), W3C's flags, the vendors' state."""

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""

    def fields(self) -> dict[str, str]:
        """The header fields that tell the next server that this span is its parent."""
        parent = {"traceparent": f"{KNOWN_VERSION}-{self.trace_id}-{self.span_id}-{self.flags:02x}"}
        return {**parent, "tracestate": self.state} if self.state else parent


def find_context(environ: Mapping[str, Any]) -> TraceContext | None:
    """The span that a request was sent from; None where it names none, or not as it must be."""
    told = environ.get("HTTP_TRACEPARENT")
    context = None if told is None else parse_traceparent(told, environ.get("HTTP_TRACESTATE", ""))
    if context is None and (of_cloud := environ.get("HTTP_X_CLOUD_TRACE_CONTEXT")) is not None:
        return parse_cloud_trace(of_cloud)
    return context


def parse_traceparent(value: str, state: str = "") -> TraceContext | None:
    """The context of a `traceparent` and the `tracestate` that came along; a bad state is as good as none."""
    match = TRACEPARENT.fullmatch(value)
    if match is None or (match["version"] == KNOWN_VERSION and match["more"] is not None):
        return None
    flags = int(match["flags"], 16) & KNOWN_FLAGS
    return TraceContext(match["trace"], match["span"], flags, usable_state(state))


def parse_cloud_trace(value: str) -> TraceContext | None:
    """The context of `X-Cloud-Trace-Context: TRACE/SPAN;o=1`, whose span is a decimal number."""
    match = CLOUD.fullmatch(value)
    if match is None or not 0 < int(match["span"]) < 2**64:
        return None
    return TraceContext(match["trace"], f"{int(match['span']):016x}", int(match["options"] == "1"))


def usable_state(value: str) -> str:
    """The `tracestate` as it goes on: whole, or not at all where it is none or more than has to go on."""
    members = [member.strip(" \t") for member in value.split(",")] if len(value) <= MAX_STATE_CHARS else []
    members = [member for member in members if member]
    if len(members) > MAX_MEMBERS or not all(MEMBER.fullmatch(member) for member in members):
        return ""
    return ",".join(members)
