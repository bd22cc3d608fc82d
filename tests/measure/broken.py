"""What a client sees of a stream that its upstream breaks, or ends as if it were whole."""

from pathlib import Path
from typing import Any

from tests.measure.crowd import Crowd, Stream
from tests.measure.figures import Row
from tests.measure.subjects import start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway", "nginx", "haproxy", "direct")
EVENTS = 10
FAILURES: dict[str, dict[str, Any]] = {
    "reset": {"fail_after": 5, "failure": "reset"},
    "reset in an event": {"fail_after": 5, "failure": "half_event"},
    "truncated": {"fail_after": 5, "failure": "close"},
    "polite end, unfinished": {"done": False, "finish_reason": None},
}
FRAMINGS = ("chunked", "length", "close")
BAR = "error event, no [DONE], no last chunk"


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """Each failure in each framing; a polite end of a body without a length looks like a truncation."""
    with Upstream(folder) as upstream, start(subject, folder, upstream) as running:
        return [
            judge(f"{failure}, framed by {framing}", look(running.port, framing, script))
            for failure, script in FAILURES.items()
            for framing in FRAMINGS
        ]


def look(port: int, framing: str, script: dict[str, Any]) -> Stream:
    """One such stream, read to its end."""
    fake = {"framing": framing, "events": EVENTS, "interval": 0.005, **script}
    with Crowd() as crowd:
        stream = crowd.add(Stream(port).ask(fake=fake))
        crowd.read_until(lambda: stream.ended_at is not None or has_all(stream), 10)
    return stream


def has_all(stream: Stream) -> bool:
    """Whether the body has the length that its head declares: nothing more will come."""
    head, _, body = bytes(stream.data).partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    declared = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")]
    return declared == [len(body)]


def judge(name: str, stream: Stream) -> Row:
    """The stream in words."""
    data = bytes(stream.data)
    has_error, has_done = data.count(b'data: {"error"') == 1, b"[DONE]" in data
    if stream.ended_with_last_chunk:
        end = "last chunk"
    elif has_all(stream):
        end = "whole by its length"
    elif stream.was_reset:
        end = "reset"
    else:
        end = "cut" if b"\r\ntransfer-encoding: chunked" in data.lower() else "closed"
    words = ("error event" if has_error else "no error event", "[DONE]" if has_done else "no [DONE]", end)
    is_seen = has_error and not has_done and end in ("cut", "reset")
    return Row(f"broken stream: {name}", ", ".join(words), BAR, is_seen)
