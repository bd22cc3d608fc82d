"""The admin blueprint: what an operator may ask of a running gateway."""

import logging
from dataclasses import asdict

import msgspec
from flask import Blueprint, Response, current_app, g

from app.errors import ReloadFailed
from app.keys.records import KeyFileError
from app.keys.shared import SharedKeys

bp = Blueprint("admin", __name__, url_prefix="/admin")
log = logging.getLogger("gateway.admin")


@bp.route("/reload-keys", methods=["GET", "POST"])
def reload_keys() -> Response:
    """Read the keys again; when this answers, every worker of the instance uses the new set."""
    keys: SharedKeys = current_app.extensions["keys"]
    try:
        result = keys.reload(strict=True)
    except KeyFileError as error:
        log.warning("keys not reloaded", extra={"reason": str(error), "by": g.principal.name})
        raise ReloadFailed(f"The old keys stay in use: {error}.") from error
    log.info(
        "keys reloaded",
        extra={"generation": result.generation, "keys": result.keys, "by": g.principal.name},
    )
    refresh = current_app.extensions["settings"].api_keys_refresh_seconds
    content = {
        "reloaded": True,
        **asdict(result),
        "note": f"Other instances follow within {refresh:g} seconds.",
    }
    return Response(msgspec.json.encode(content), content_type="application/json")
