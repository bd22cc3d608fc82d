"""One subject under measurement: where it listens, and what counts its CPU time."""

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.accounting import CpuMeter
from benchmarks.bodies import Request
from benchmarks.client import Crowd
from benchmarks.names import BARE_FLASK
from benchmarks.rig import Upstream, Window
from benchmarks.subjects import Subject

Sample = dict[str, float]
NO_STREAMS = frozenset((BARE_FLASK,))
REWRITES = frozenset(("litellm", BARE_FLASK))  # their answers have bytes of their own


@dataclass
class Stand:
    """One subject, and what is known of it; it lives as long as the subject."""

    name: str
    subject: Subject
    upstream: Upstream
    seconds: float  # of one window
    rates: dict[str, float] = field(default_factory=dict)  # units a second, by workload
    errors: Counter[str] = field(default_factory=Counter)  # of the run at hand, by kind

    @property
    def can_stream(self) -> bool:
        """Whether it answers with streams."""
        return self.name not in NO_STREAMS

    def crowd(self) -> Crowd:
        """Clients of it, whose errors are its own."""
        crowd = Crowd(self.subject.port)
        crowd.errors = self.errors
        return crowd

    def window(self) -> Window:
        """A window to count in."""
        return Window(CpuMeter(self.subject.family), self.upstream)

    def fit(self, request: Request) -> Request:
        """The request, with as much checked of its answer as the subject keeps."""
        return request.loosened() if self.name in REWRITES else request
