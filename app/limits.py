"""How long an answer may take, in which of its phases, and what it means when it takes longer."""

import time
from dataclasses import dataclass

from app.broken import BrokenStream, ClientStalled, DeadlineExceeded, IdleTimeout
from app.errors import GatewayError, UpstreamTimeout


@dataclass(frozen=True, slots=True)
class Limits:
    """Absolute CLOCK_MONOTONIC times for the first byte and the whole request; seconds between."""

    first_byte_due: float
    request_due: float
    idle: float
    stall: float

    def to_head(self) -> tuple[float, GatewayError]:
        """The seconds that the head of the answer may still take (more than zero, as a timer needs), and
        the error when it takes longer.
        """
        left = min(self.first_byte_due, self.request_due) - time.monotonic()
        error = UpstreamTimeout() if self.first_byte_due <= self.request_due else DeadlineExceeded()
        return max(0.001, left), error

    def nearest(
        self, last_progress: float, is_stalled: bool, has_first_byte: bool
    ) -> tuple[float, BrokenStream]:
        """The limit that is reached first if nothing moves any more, and its error."""
        error: BrokenStream = IdleTimeout()
        if is_stalled:
            due, error = last_progress + self.stall, ClientStalled()
        elif has_first_byte:
            due = last_progress + self.idle
        else:
            due = self.first_byte_due
        return (due, error) if due < self.request_due else (self.request_due, DeadlineExceeded())
