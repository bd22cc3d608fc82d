"""The kinds of answer, how each looks when nothing goes wrong, and where it may break off."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fault_proxy import FaultProxy, Faults
from tests.gateway import Gateway
from tests.oracle import (
    END_MARKS,
    FRAMINGS,
    Outcome,
    ask,
    asked,
    check_broken_body,
    check_broken_stream,
    check_refused,
)


@dataclass(frozen=True)
class Case:
    """One kind of answer."""

    target: str
    stream: bool
    framing: str

    def __str__(self) -> str:
        return f"{self.target}-{'stream' if self.stream else 'plain'}-{self.framing}"

    def body(self, **script: Any) -> dict[str, Any]:
        """The request for it."""
        return asked(self.stream, framing=self.framing, events=4, **script)


CASES = [
    Case(target, stream, framing)
    for target in END_MARKS
    for stream in (True, False)
    for framing in FRAMINGS
]  # fmt: skip
STREAMS = [case for case in CASES if case.stream]
PLACES = (
    "nothing", "status-line", "inside-head", "end-of-head", "behind-head", "mid-event", "boundary",
    "last-byte",
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """The answer as the upstream sends it, head and framing included, and as the client gets it."""

    case: Case
    wire: bytes
    body: bytes

    @property
    def head_end(self) -> int:
        """Where the body begins."""
        return self.wire.index(b"\r\n\r\n") + 4

    def place(self, name: str) -> int:
        """How many bytes of the answer come when it breaks off there."""
        middle = (self.head_end + len(self.wire)) // 2
        boundary = self.wire.index(b"\n\n", middle) + 2 if self.case.stream else middle
        return {
            "nothing": 0,
            "status-line": len(b"HTTP/1.1 200"),
            "inside-head": self.head_end - 20,
            "end-of-head": self.head_end - 1,
            "behind-head": self.head_end,
            "mid-event": boundary - 20,
            "boundary": boundary,
            "last-byte": len(self.wire) - 1,
        }[name]

    def looks_whole(self, faults: Faults) -> bool:
        """Whether nothing on the wire tells the cut from the end: it would be the end of this framing."""
        is_open = self.case.framing == "close" and not self.case.stream
        return is_open and faults.cut == "close" and (faults.cut_after or 0) > self.head_end

    def check(self, outcome: Outcome, faults: Faults) -> str | None:
        """What the client may see of the answer after such a cut; returns the code of the error event."""
        target, came = self.case.target, faults.cut_after or 0
        is_exact = faults.cut != "reset"  # a reset may overtake the bytes before it
        if outcome.status != 200:
            check_refused(outcome, target)
            assert came <= self.head_end or not is_exact
            return None
        assert came >= self.head_end
        if not self.case.stream:
            check_broken_body(outcome, self.body)
            return None
        events = self.wire[:came].count(b"\n\n")
        return check_broken_stream(outcome, self.body, target, events, exactly=is_exact)


TruthOf = Callable[[Case], Truth]


def truth_finder(gateway: Gateway, proxy: FaultProxy) -> TruthOf:
    """A function that gets the true answer of a case, asking for it once."""
    known: dict[Case, Truth] = {}

    def find(case: Case) -> Truth:
        if case not in known:
            faults, proxy.faults = proxy.faults, Faults()
            outcome = ask(gateway.port, case.target, case.body())
            proxy.faults = faults
            assert (outcome.status, outcome.is_whole) == (200, True)
            known[case] = Truth(case, bytes(proxy.answers[outcome.request_id]), outcome.body)
        return known[case]

    return find
