"""The health blueprint: is the process alive, is the model started, can requests be served now?"""

from typing import Any

import msgspec
from flask import Blueprint, Response, current_app

from app.instance import Instance
from app.keys.shared import SharedKeys
from app.startup import PHASES, READY, Startup
from app.unavailable import Unavailable
from app.watch import UpstreamWatch

PHASES_TOLD = ("draining", "keys_unavailable", *PHASES, "upstream_unavailable")

bp = Blueprint("health", __name__, url_prefix="/health")


class Health:
    """Says what holds for the whole instance: status, phases and their seconds, and nothing else."""

    def __init__(self, keys: SharedKeys, watch: UpstreamWatch, instance: Instance, startup: Startup) -> None:
        self._keys = keys
        self._watch = watch
        self._instance = instance
        self._startup = startup

    def phase(self) -> str:
        """The first thing that keeps this instance from serving, or `ready`."""
        if self._instance.is_draining:
            return "draining"
        if not self._keys.are_loaded:
            return "keys_unavailable"
        if not self._instance.is_ready:
            return self._startup.phase
        return READY if self._watch.is_up() else "upstream_unavailable"

    @property
    def has_upstream(self) -> bool:
        """Whether the upstream answered lately."""
        return self._watch.is_up()

    def startup_phase(self) -> str:
        """The phase of the start, or what keeps it from going on."""
        return READY if self._instance.is_ready else self.phase()

    def startup_seconds(self) -> dict[str, float]:
        """How long each phase of the start took."""
        return self._startup.seconds()

    def body(self, phase: str, *, ok: bool) -> dict[str, Any]:
        """What a probe may read; seconds since the launch."""
        seconds = round(self._startup.elapsed, 1)
        return {"status": "ok" if ok else "unavailable", "phase": phase, "seconds": seconds}


def _answer(phase: str, *, ok: bool, **more: Any) -> Response:
    health: Health = current_app.extensions["health"]
    content = msgspec.json.encode({**health.body(phase, ok=ok), **more})
    response = Response(content, status=200 if ok else 503, content_type="application/json")
    if not ok:
        response.headers.update(Unavailable().headers())
    return response


@bp.get("/live")
def live() -> Response:
    """The process answers; nothing else is asked, since a restart would not mend anything else."""
    return _answer("live", ok=True)


@bp.get("")
@bp.get("/ready")
def ready() -> Response:
    """Keys are loaded, the upstream answers, nothing is draining."""
    health: Health = current_app.extensions["health"]
    phase = health.phase()
    return _answer(phase, ok=phase == READY)


@bp.get("/startup")
def startup() -> Response:
    """The model has been ready once."""
    health: Health = current_app.extensions["health"]
    phase = health.startup_phase()
    return _answer(phase, ok=phase == READY, phases=health.startup_seconds())
