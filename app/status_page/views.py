"""The status page's blueprint: log in and out, the page, what it polls, and its two actions."""

from functools import partial
from typing import Any

import msgspec
from flask import Blueprint, Request, Response, current_app, g, request

from app import admin, proxy
from app.audit import audit
from app.auth import LACKS_ADMIN, NO_ADMIN_YET, Gate
from app.current import this_g, this_request
from app.error_body import render_error
from app.errors import GatewayError, InsufficientScope, MissingOrInvalidKey
from app.keys.records import KeyRecord
from app.keys.shared import SharedKeys
from app.routes import ASSETS, PAGE_DATA, PLAYGROUND
from app.status_page.assets import cache_rule, read_asset, type_of
from app.status_page.errors import ForgedForm, SessionRequired
from app.status_page.forms import read_form
from app.status_page.guard import COOKIE, Guard, note_principal
from app.status_page.origin import is_https, is_own
from app.status_page.overview import Overview
from app.status_page.page import FIELDS, render
from app.status_page.session import LIFE_SECONDS, Session
from app.unavailable import KeysUnavailable

HOME, PATH = "/admin/", "/admin/"
WRONG_KEY = "This is no valid key."
MAX_STEP_DIGITS = 12
bp = Blueprint("status_page", __name__)


class StatusPage:
    """What the views need."""

    def __init__(self, guard: Guard, gate: Gate, keys: SharedKeys, overview: Overview) -> None:
        self.sessions = guard.sessions
        self.guard = guard
        self.gate = gate
        self.keys = keys
        self.overview = overview

    def show(self, session: Session, record: KeyRecord, notice: str | None = None) -> Response:
        """The page to whom it may be shown."""
        return render(
            "status.html",
            **self.overview.page(),
            notice=notice,
            who=record.name,
            may_try="inference" in record.scopes,
            token=self.sessions.token_of(session),
            playground=PLAYGROUND.path,
            data=PAGE_DATA,
        )

    def log_in(self, current: Request) -> tuple[Session, KeyRecord]:
        """A session for the admin's key in the form. Raises MissingOrInvalidKey and other GatewayErrors."""
        if not is_own(current.headers):
            raise ForgedForm
        key = read_form(current).get("key", "").strip()
        if not self.keys.are_loaded:
            raise KeysUnavailable
        record = self.keys.ring.find(key.encode()) if key else None
        if record is None:
            self.gate.note_wrong_key(current, g.record)
            raise MissingOrInvalidKey(WRONG_KEY)
        note_principal(g.record, record)
        g.record.key_source = "form"
        if "admin" not in record.scopes:
            raise InsufficientScope(LACKS_ADMIN if self.keys.ring.has_admin else NO_ADMIN_YET)
        self.keys.note_use(bytes.fromhex(record.digest))
        return self.sessions.begin(record), record


def this_page() -> StatusPage:
    """Of this application."""
    page: StatusPage = current_app.extensions["status_page"]
    return page


@bp.get(HOME)
def show_page() -> Response:
    """The page to a session, and to others the form to begin one."""
    page, current = this_page(), this_request()
    found = page.guard.find(current)
    if found is None:
        return render("login.html", error=None)
    note_principal(g.record, found[1])
    this_g().session = found[0]
    return page.show(*found)


@bp.get("/admin/login")
def show_login() -> Response:
    """What a browser asks for that loads the address of the form again."""
    return show_page()


@bp.post("/admin/login")
def log_in() -> Response:
    """Begin a session; the key is in the form, never in the address."""
    page, current = this_page(), this_request()
    try:
        session, _ = page.log_in(current)
    except InsufficientScope as error:  # strangers are recorded with their request's line, which has a budget
        audit("log in", "refused", reason=error.code)
        raise
    audit("log in", "done")
    response = Response(status=303, headers={"Location": HOME})
    _set_cookie(response, session)
    return response


@bp.post("/admin/logout")
def log_out() -> Response:
    """End the session in every worker."""
    this_page().sessions.end(g.session)
    audit("log out", "done")
    response = Response(status=303, headers={"Location": HOME})
    response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="Strict")
    del g.session
    return response


@bp.get(PAGE_DATA)
def data() -> Response:
    """What an open page asks for every few seconds."""
    since = request.args.get("since", "")
    step = int(since) if since.isdecimal() and len(since) <= MAX_STEP_DIGITS else -1
    told = this_page().overview.data(step, with_tables="tables" in request.args)
    return Response(msgspec.json.encode(told), content_type="application/json")


@bp.post("/admin/page/reload-keys")
def reload_keys() -> Response:
    """Read the keys again. A script gets what changed in a sentence, a form the page that says it."""
    notice = told_by(admin.reload_keys().get_json())
    if not _wants_page(request):
        return Response(msgspec.json.encode({"notice": notice}), content_type="application/json")
    page = this_page()
    found = page.guard.find(this_request())
    if found is None:  # the key of this very session is gone
        raise SessionRequired
    return page.show(*found, notice=notice)


def told_by(result: dict[str, Any]) -> str:
    """What a reload did, in a sentence."""
    if not result["reloaded"]:
        return f"The keys stay as they were: {result['reason']}."
    parts = [f"{kind} {', '.join(result[kind])}" for kind in ("added", "removed", "changed") if result[kind]]
    return f"Keys read again: {'; '.join(parts) or 'nothing has changed'}. {result['keys']} keys are in use."


@bp.post(PLAYGROUND.path)
def try_model() -> Response:
    """A chat completion as any other, by the session's key."""
    response = proxy.relay()
    audit("try model", "done")
    return response


def show_asset(name: str) -> Response:
    """One of the page's own files."""
    response = Response(read_asset(name), content_type=type_of(name))
    response.headers["Cache-Control"] = cache_rule(name, request.args.get("v"))
    return response


@bp.errorhandler(GatewayError)
def show_error(error: GatewayError) -> Response:
    """The error as a page to who looks at pages; scripts get it as JSON."""
    g.record.outcome = error.code
    if not _wants_page(request):
        return Response(render_error(error), error.status, error.headers(), content_type="application/json")
    is_login = isinstance(error, MissingOrInvalidKey | InsufficientScope | SessionRequired | ForgedForm)
    response = render("login.html" if is_login else "error.html", error.status, error=error.message)
    response.headers.update(error.headers())
    return response


@bp.after_request
def finish(response: Response) -> Response:
    """What every answer of the page says, and a newer cookie where the session goes on."""
    for name, value in FIELDS.items():
        response.headers.setdefault(name, value)
    session = getattr(g, "session", None)
    renewed = session and this_page().sessions.renewed(session)
    if renewed:
        _set_cookie(response, renewed)
    return response


def _wants_page(current: Request) -> bool:
    return "text/html" in current.headers.get("Accept", "")


def _set_cookie(response: Response, session: Session) -> None:
    hops = current_app.extensions["settings"].trusted_proxy_hops
    response.set_cookie(
        COOKIE,
        this_page().sessions.cookie_of(session),
        max_age=int(LIFE_SECONDS),
        path=PATH,
        secure=is_https(request.headers, hops),
        httponly=True,
        samesite="Strict",
    )


for _name, _path in ASSETS.items():
    bp.add_url_rule(_path, f"asset {_name}".replace(".", " "), partial(show_asset, _name))
