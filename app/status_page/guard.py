"""The check before every request with a session: whose is it, and did our own page send it?"""

from flask import Request

from app.auth import Principal
from app.current import this_g
from app.errors import InsufficientScope
from app.instance import Instance
from app.keys.records import KeyRecord
from app.keys.shared import SharedKeys
from app.logs import RequestRecord
from app.routes import PLAYGROUND, Route
from app.status_page.errors import ForgedForm, SessionRequired
from app.status_page.forms import is_form, read_form
from app.status_page.origin import is_own
from app.status_page.session import Session, Sessions
from app.unavailable import Draining

COOKIE = "gateway_session"
TOKEN_HEADER, TOKEN_FIELD = "X-CSRF-Token", "csrf"


class Guard:
    """Turns a cookie into who asks. The key is looked up each time: without it, its sessions are over."""

    def __init__(self, keys: SharedKeys, instance: Instance, sessions: Sessions) -> None:
        self._keys = keys
        self._instance = instance
        self.sessions = sessions

    def find(self, current: Request) -> tuple[Session, KeyRecord] | None:
        """The session of this request and the key behind it, where there is one that counts."""
        session = self.sessions.read(current.cookies.get(COOKIE, ""))
        record = session and self.sessions.key_of(session, self._keys.ring)
        return (session, record) if session and record else None

    def admit(self, current: Request, record: RequestRecord, route: Route) -> Principal:
        """Who asks on a route for sessions. Raises a GatewayError for a request that no view may see."""
        found = self.find(current)
        if found is None:
            raise SessionRequired
        session, key = found
        principal = note_principal(record, key)
        if current.method != "GET":
            self._check_own(current, session)
        if route is PLAYGROUND:
            self._check_inference(principal)
        this_g().session = session
        return principal

    def _check_own(self, current: Request, session: Session) -> None:
        token = current.headers.get(TOKEN_HEADER, "")
        if not is_own(current.headers):
            raise ForgedForm
        if not token and is_form(current):
            token = read_form(current).get(TOKEN_FIELD, "")
        if not self.sessions.is_token(session, token):
            raise ForgedForm

    def _check_inference(self, principal: Principal) -> None:
        if self._instance.is_draining:
            raise Draining
        if "inference" not in principal.scopes:
            raise InsufficientScope("The key of this session lacks the scope inference.")
        self._keys.note_use(principal.secret)


def note_principal(record: RequestRecord, key: KeyRecord) -> Principal:
    """Who this key is; also into the request's line of log."""
    record.key_name, record.key_id, record.key_source = key.name, key.key_id, "session"
    secret = bytes.fromhex(key.digest)
    return Principal(key.name, key.key_id, frozenset(key.scopes), "session", secret, key.cache_group)
