"""The health blueprint: is the process alive, is the model started, can requests be served now?"""

import time
from typing import Any

import msgspec
from flask import Blueprint, Response, current_app

from app.errors import Unavailable
from app.instance import Instance
from app.keys.shared import SharedKeys
from app.monitor import Monitor

bp = Blueprint("health", __name__, url_prefix="/health")


class Health:
    """Says what holds for the whole instance: status, phase and seconds, and nothing else."""

    def __init__(self, keys: SharedKeys, monitor: Monitor, instance: Instance) -> None:
        self._keys = keys
        self._monitor = monitor
        self._instance = instance

    def phase(self) -> str:
        """The first thing that keeps this instance from serving, or `ready`."""
        if self._instance.is_draining:
            return "draining"
        if not self._keys.are_loaded:
            return "keys_unavailable"
        if not self._monitor.upstream_is_up():
            return "upstream_unavailable" if self._instance.is_ready else "model_loading"
        return "ready"

    def body(self, phase: str, *, ok: bool) -> dict[str, Any]:
        """What a probe may read; seconds since the instance started."""
        seconds = round(time.monotonic() - self._instance.get("started_at"), 1)
        return {"status": "ok" if ok else "unavailable", "phase": phase, "seconds": seconds}


def _answer(phase: str, *, ok: bool) -> Response:
    health: Health = current_app.extensions["health"]
    content = msgspec.json.encode(health.body(phase, ok=ok))
    response = Response(content, status=200 if ok else 503, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
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
    return _answer(phase, ok=phase == "ready")


@bp.get("/startup")
def startup() -> Response:
    """The model has been ready once."""
    instance: Instance = current_app.extensions["instance"]
    if instance.is_ready:
        return _answer("started", ok=True)
    health: Health = current_app.extensions["health"]
    return _answer(health.phase(), ok=False)
