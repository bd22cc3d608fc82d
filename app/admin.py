"""The admin blueprint: what an operator may ask of a running gateway."""

import re
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, current_app, request

from app.accounts.reader import UsageReader
from app.accounts.report import BY
from app.accounts.span import SpanRefused, parse_span
from app.audit import Result, audit
from app.errors import InvalidField, ReloadFailed
from app.keys.errors import KeyStoreError, StoreUnavailable
from app.keys.records import KeyRecord
from app.keys.shared import SharedKeys
from app.unavailable import StoreSilent

bp = Blueprint("admin", __name__, url_prefix="/admin")
VERSION = re.compile(r"[1-9][0-9]{0,8}")


@bp.route("/reload-keys", methods=["GET", "POST"])
def reload_keys() -> Response:
    """Read the keys again; when this answers, every worker of the instance uses the new set."""
    keys: SharedKeys = current_app.extensions["keys"]
    version = _wanted_version(request.args.getlist("version"), has_versions=keys.store.has_versions)
    before = keys.version
    try:
        result = keys.reload(version)
    except KeyStoreError as error:
        audit("reload keys", "failed", reason=str(error), version_before=before)
        kind = StoreSilent if isinstance(error, StoreUnavailable) else ReloadFailed
        raise kind(f"The old keys stay in use: {error}.", {"reloaded": False, **_in_use(keys)}) from error
    outcome: Result = "done" if result.reloaded else "failed"
    audit("reload keys", outcome, **result.log_fields(), version_before=before, reason=result.reason)
    refresh = current_app.extensions["settings"].api_keys_refresh_seconds
    note = f"Other instances follow within {refresh:g} seconds of the store naming that version its latest."
    told = {"reloaded": result.reloaded, "reason": result.reason, **msgspec.to_builtins(result.changes)}
    return _json(
        {**told, **_in_use(keys), "problems": result.problems, "warnings": result.warnings, "note": note}
    )


@bp.get("/status")
def status() -> Response:
    """What this instance serves, and with which keys; no secrets."""
    health, keys = current_app.extensions["health"], current_app.extensions["keys"]
    load = current_app.extensions["load"]
    now = time.time()
    return _json(
        {
            "phase": health.phase(),
            "startup_seconds": health.startup_seconds(),
            "requests_in_flight": load.requests,
            "keys": {
                "store": keys.store.kind,
                **_in_use(keys),
                "failure": keys.report.failure,
                "problems": keys.current.problems,
                "warnings": keys.current.warnings,
                "list": [_describe(record, keys, now) for record in keys.ring.listed()],
            },
        }
    )


@bp.get("/usage")
def usage() -> Response:
    """What was used, by key and model, in all instances that share a database; and what it cost."""
    reader: UsageReader = current_app.extensions["usage_reader"]
    wishes = {name: _only(request.args.getlist(name), name) for name in ("since", "until", "by")}
    by = wishes["by"] or ""
    if by not in BY:
        raise InvalidField("Usage can be told by key, by model or by day.", param="by")
    try:
        span = parse_span(wishes["since"], wishes["until"])
    except SpanRefused as refusal:
        raise InvalidField(str(refusal), param=refusal.param) from None
    return _json(reader.report(span, by))


def _only(given: list[str], name: str) -> str | None:
    if len(given) > 1:
        raise InvalidField(f"{name} may be given once.", param=name)
    return given[0].replace(" ", "+") if given else None  # a plus that nobody has escaped comes as a space


def _wanted_version(given: list[str], *, has_versions: bool) -> int | None:
    if not given:
        return None
    number = given[0]
    if not has_versions:
        raise InvalidField("A key file has no versions; leave the version out.", param="version")
    if len(given) > 1 or not VERSION.fullmatch(number):
        raise InvalidField("The version must be one whole number.", param="version")
    return int(number)


def _in_use(keys: SharedKeys) -> dict[str, Any]:
    age = keys.age
    return {
        "version": keys.version,
        "generation": keys.generation,
        "keys": len(keys.ring.by_digest),
        "names": len({record.name for record in keys.ring.by_digest.values()}),
        "age_seconds": None if age is None else round(age, 1),
    }


def _describe(record: KeyRecord, keys: SharedKeys, now: float) -> dict[str, Any]:
    return {
        "name": record.name,
        "id": record.key_id,
        "state": record.state(now),
        "scopes": record.scopes,
        "not_before": _as_text(record.not_before or None),
        "expires": _as_text(record.expires),
        "last_used": _as_text(keys.last_used(bytes.fromhex(record.digest))),
    }


def _as_text(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _json(content: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(content), content_type="application/json")
