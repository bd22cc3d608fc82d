"""Server-sent events as bytes: where one ends, and what it carries."""

import re

MAX_HELD_BYTES = 8 * 1024 * 1024  # an unfinished event beyond this passes unseen
# A blank line. "\r\n" is one line end, so it never makes a blank line by itself.
BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")
BOUNDARY = re.compile(rb"\n\r?\n|\r\r")
LINE_END = re.compile(rb"\r\n?|\n")
OVERLAP = 2  # the longest blank line, less the byte that completes it


class EventBuffer:
    """Cuts a byte stream at event boundaries and holds back only the unfinished last event."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._tail = b""  # the last bytes held, where a boundary may have begun
        self.is_mid_event = False  # the start of the current event has left already

    def feed(self, data: bytes) -> bytes:
        """What can leave now: whole events, or the start of one that is too large to hold."""
        end = len(data)
        if data.endswith(b"\n\n"):
            if not self._size:
                self._tail, self.is_mid_event = b"", False
                return data
        else:
            end = _last_boundary(self._tail + data) - len(self._tail)
            if self._is_between(end) and not data[max(0, end) :].strip(b"\r\n"):
                end = len(data)  # more blank lines are no event that could be unfinished
        if end <= 0:
            self._hold(data)
            return self.flush() if self._size > MAX_HELD_BYTES else b""
        whole = b"".join((*self._parts, data[:end])) if self._parts else data[:end]
        self._parts, self._size, self._tail, self.is_mid_event = [], 0, b"", False
        if end < len(data):
            self._hold(data[end:])
        return whole

    @property
    def is_holding(self) -> bool:
        """Whether the last event is unfinished."""
        return self._size > 0

    def _is_between(self, end: int) -> bool:
        """Whether no event has begun before what follows `end`."""
        return end > 0 or not (self._size or self.is_mid_event)

    def _hold(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        self._tail = (self._tail + data[-OVERLAP:])[-OVERLAP:]

    def flush(self) -> bytes:
        """Give up the unfinished event as it is."""
        rest = b"".join(self._parts)
        self.is_mid_event = self.is_mid_event or bool(rest)
        self._parts, self._size = [], 0
        return rest


def _last_boundary(data: bytes) -> int:
    """Where the text up to and including the last blank line ends; 0 without one."""
    if b"\r" not in data:
        return _end_of_last(data, BLANK_LINES[0])
    return max(_end_of_last(data, blank) for blank in BLANK_LINES)


def _end_of_last(data: bytes, blank: bytes) -> int:
    start = data.rfind(blank)
    return start + len(blank) if start >= 0 else 0


def split_events(block: bytes) -> list[bytes]:
    """The events of a block, each with its blank line; joined they are the block again."""
    events: list[bytes] = []
    start = 0
    for match in BOUNDARY.finditer(block):
        events.append(block[start : match.end()])
        start = match.end()
    if start < len(block):
        events.append(block[start:])
    return events


def data_of(event: bytes) -> bytes:
    """The event's data lines, joined; empty for a comment."""
    lines = event.split(b"\n") if b"\r" not in event else LINE_END.split(event)
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
