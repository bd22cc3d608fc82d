"""What the gateway looks at while an answer passes, and changes where it must."""

import re

from app.broken import UpstreamLost
from app.errors import GatewayError
from app.usage import Usage, UsageTail

BROKEN_END = re.compile(rb'"finish_reason"\s{0,8}:\s{0,8}"(?:abort|error)"')
REPETITION = re.compile(rb'("finish_reason"\s{0,8}:\s{0,8})"repetition"')
HELD_BYTES = 64  # more than the longest match of either


class Inspector:
    """Looks at an answer on its way through; this one lets every byte pass at once.

    After each call `failure` tells whether the answer turned out to be broken: then what the call
    returned is the last that may be forwarded.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.failure: GatewayError | None = None
        self.has_told_failure = False  # the upstream's own error event has been forwarded
        self._tail = UsageTail()

    def feed(self, data: bytes) -> bytes:
        """The bytes to forward for these bytes of the body."""
        self._tail.feed(data)
        return data

    def end(self) -> bytes:
        """The body is whole by its framing; the last bytes to forward."""
        self.usage = self._tail.usage()
        return b""

    def failure_event(self, _error: GatewayError) -> bytes:
        """What a client is told in the body when the answer breaks off."""
        return b""

    def account(self, *, is_whole: bool) -> Usage | None:
        """What the answer used up: as the upstream said, or as far as it was streamed."""
        return self.usage if is_whole else None


class CompletionInspector(Inspector):
    """A chat or text completion that is not streamed: the end of each choice has to be one of OpenAI's.

    `repetition`, which vLLM 0.32 knows and clients do not, becomes `length`, padded with spaces: the
    declared length of the body stays true.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """All but the last bytes, where an end may stand that has not come wholly."""
        self._tail.feed(data)
        text = REPETITION.sub(rb'\1"length"    ', self._held + data)
        broken = BROKEN_END.search(text)
        if broken is not None:
            self.failure = UpstreamLost()
            return text[: broken.start()]
        self._held = text[-HELD_BYTES:]
        return text[:-HELD_BYTES]

    def end(self) -> bytes:
        """The rest."""
        super().end()
        return self._held
