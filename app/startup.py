"""How far the start of the model has come: its phases, their seconds, and what is probably left.

process ─► import ─► weights ─► warm-up ─► ready

`process`: from the launch until both programs run. `import`: vLLM loads its libraries and binds its socket.
`weights`: the engine loads and prepares the model, until vLLM answers. `warm-up`: one token. Over TCP, where
a socket that is bound but does not listen yet cannot be seen, `loading` stands for `import` and `weights`.
"""

import logging
import math
import time

from app.instance import Instance
from app.settings import Settings

PHASES = ("process", "import", "weights", "loading", "warm-up", "ready")
PROCESS, IMPORT, WEIGHTS, LOADING, WARM_UP, READY = PHASES
FIELDS = {
    IMPORT: "import_since",
    WEIGHTS: "weights_since",
    LOADING: "loading_since",
    WARM_UP: "warm_up_since",
    READY: "ready_since",
}
OVERDUE_SHARE = 0.25  # of the time it has taken: a start that is late by its estimate
log = logging.getLogger("gateway.startup")


class Startup:
    """The start of this instance, as all of its workers see it. Times are seconds."""

    def __init__(self, settings: Settings, instance: Instance) -> None:
        started_at = instance.get("started_at")
        age = 0.0 if settings.launched_at is None else time.time() - settings.launched_at
        self._launched_at = min(started_at, time.monotonic() - age)
        self._expected = settings.model_load_seconds
        self._instance = instance

    @property
    def phase(self) -> str:
        """The phase that has begun last."""
        return next((phase for phase in reversed(PHASES) if self._began(phase)), PROCESS)

    def begin(self, phase: str) -> None:
        """Note that a phase has begun, once, and write how long the one before it took."""
        if self._began(phase):
            return
        before = self.phase
        self._instance.set(FIELDS[phase], time.monotonic())
        log.info("startup phase done", extra={"phase": before, "seconds": self.seconds()[before]})
        if phase == READY:
            phases = {name: taken for name, taken in self.seconds().items() if name != READY}
            whole = {"phase": READY, "seconds": round(self.elapsed, 2), "phases": phases}
            log.info("the model is ready", extra=whole)

    @property
    def elapsed(self) -> float:
        """Since the launch."""
        return time.monotonic() - self._launched_at

    def seconds(self) -> dict[str, float]:
        """How long each phase took that has begun; for the last one, until now."""
        begun = [(phase, self._began(phase)) for phase in PHASES if self._began(phase)]
        ends = [*(since for _, since in begun[1:]), time.monotonic()]
        return {
            phase: round(max(0.0, end - since), 2) for (phase, since), end in zip(begun, ends, strict=True)
        }

    def seconds_left(self) -> int:
        """What is left of the expected load time; a share of the elapsed one when that is over."""
        left = self._expected - self.elapsed
        return math.ceil(left if left > 0 else max(1.0, self.elapsed * OVERDUE_SHARE))

    def _began(self, phase: str) -> float:
        return self._launched_at if phase == PROCESS else self._instance.get(FIELDS[phase])
