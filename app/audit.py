"""Audit lines: who did what to this gateway, one line of the logger `gateway.audit` for each action.

A view calls `audit` with what it did. Where it does not, because the request was refused, was wrong or nobody
thought of it, `audit_request` writes a plain line at the request's end: so nothing that changes the gateway
through an operators' route goes unrecorded. A line names keys by name and id, never holds one.
"""

import logging
from typing import Any, Literal

from app.current import this_g
from app.logs import RequestRecord, clean, clean_known
from app.routes import changes_gateway, is_for_operators

Result = Literal["done", "failed", "refused"]
REFUSALS = (401, 403)
log = logging.getLogger("gateway.audit")


def audit(action: str, result: Result, **facts: Any) -> None:
    """Record what the request at hand did, in one line; call it once, in a view, when that is known.

    `action` is a verb and what it was done to, always the same text for the same action ("reload keys").
    `facts` say what changed and why not: names, numbers and reasons; no keys, no client's texts that are not
    cleaned. Who, from where and in which request is added: a view that finds out by itself who asks (a login)
    sets `key_name` and `key_id` of `g.record` first.
    """
    write_line(this_g().record, action, result, facts)


def audit_request(record: RequestRecord) -> None:
    """Record a request on an operators' route that no view has recorded, if it needs to be.

    Which is: it was refused for its key, or might have changed something. Called with the request's own
    line, so that strangers have no more lines of this kind than of that one.
    """
    if record.is_audited or not is_for_operators(record.route or ""):
        return
    is_refused = record.status in REFUSALS
    if is_refused or changes_gateway(record.method, record.route):
        result: Result = "refused" if is_refused else "failed" if record.status >= 400 else "done"
        facts = {"status": record.status, "reason": record.outcome if record.status >= 400 else None}
        write_line(record, f"{clean(record.method)} {record.route}", result, facts)


def write_line(record: RequestRecord, action: str, result: Result, facts: dict[str, Any]) -> None:
    """The line itself."""
    record.is_audited = True
    who = {
        "by": clean_known(record.key_name),
        "key_id": clean_known(record.key_id),
        "peer": clean(record.peer),
    }
    level = logging.INFO if result == "done" else logging.WARNING
    told = {"action": action, "result": result, **who, "request_id": record.request_id, **facts}
    log.log(level, "admin action", extra=told)
