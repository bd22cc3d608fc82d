"""The check before every request: is this a route of ours, and may this client use it?"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from flask import Request
from werkzeug.datastructures import Headers

from app.connection import ClientConnection
from app.current import this_g, this_request
from app.errors import AmbiguousCredentials, InsufficientScope, MissingOrInvalidKey
from app.instance import Instance
from app.keys.records import KeyRecord
from app.keys.ring import Ring
from app.keys.shared import SharedKeys
from app.logs import RequestRecord
from app.routes import Access, Route, check_authority, check_host, find_route
from app.throttle import WrongKeys, address_of
from app.trace_context import find_context
from app.unavailable import Draining, KeysUnavailable, Overloaded
from app.wire import CONNECTION, RECORD

CACHE_GROUP = b"vllm-gateway cache group"
BLANK = " \t"  # HTTP's own; a key may hold what Unicode calls a space
LACKS_ADMIN = "This API key lacks the scope admin."
MAKE_ADMIN = "flask --app wsgi keys add --name operator --scope admin"
NO_ADMIN_YET = f"{LACKS_ADMIN} No key has it yet: make one with `{MAKE_ADMIN}`."
JWT_HINT = "A signed identity token is not an API key; send the key in X-API-Key."


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: one key of one name, what it may do, and the header that carried it.

    `secret` is known to nobody but the holder of the key and this gateway.
    """

    name: str
    key_id: str
    scopes: frozenset[str]
    source: str
    secret: bytes = field(repr=False)
    cache_group: str | None = None

    @property
    def cache_salt(self) -> str:
        """What parts this key's prompts from others' in vLLM's prefix cache, as 64 hex digits.

        Else the time of an answer tells whether somebody has sent the same words before. Keys of one group
        share: they are one party, and prompts such as OpenCode's need not be read for each of them.
        """
        return find_salt(self.secret, self.cache_group)


@lru_cache(maxsize=1024)
def find_salt(secret: bytes, cache_group: str | None) -> str:
    """The salt of a key by itself or of its group; the same few are asked for again and again."""
    if cache_group is not None:
        return hmac.digest(CACHE_GROUP, cache_group.encode(), "sha256").hex()
    return hmac.digest(secret, b"cache_salt", "sha256").hex()


SessionCheck = Callable[[Request, RequestRecord, Route], Principal]


class Gate:
    """What stands before every view; `check_session` tells who asks on routes for sessions."""

    def __init__(
        self, keys: SharedKeys, instance: Instance, proxy_hops: int, check_session: SessionCheck
    ) -> None:
        self._keys = keys
        self._instance = instance
        self._proxy_hops = proxy_hops
        self._check_session = check_session
        self._wrong_keys = WrongKeys()

    def check(self) -> None:
        """Raises a GatewayError for a request that no view may see."""
        current, found = this_request(), this_g()
        found.record = record = open_record(current, self._proxy_hops)
        host, target = current.environ.get("HTTP_HOST"), current.environ["RAW_URI"]
        check_host(host, required=_needs_host(current))
        check_authority(target, host)
        found.route = route = find_route(current.method, target)
        record.route = route.path
        if route.access is Access.SESSION:
            found.principal = self._check_session(current, record, route)
        elif route.access is not Access.PUBLIC:
            found.principal = self._admit(current, record, route)

    def _admit(self, current: Request, record: RequestRecord, route: Route) -> Principal:
        if self._instance.is_draining and not route.when_draining:
            raise Draining
        if not self._keys.are_loaded:
            raise KeysUnavailable
        ring = self._keys.ring
        try:
            principal = find_principal(current.headers, ring)
        except MissingOrInvalidKey:
            self.note_wrong_key(current, record)
            raise
        record.key_name, record.key_id, record.key_source = principal.name, principal.key_id, principal.source
        self._keys.note_use(principal.secret)
        check_scope(principal, route, ring)
        return principal

    def note_wrong_key(self, current: Request, record: RequestRecord) -> None:
        """Count it against the client's address, and return late where there were too many.

        Raises Overloaded where nothing but a valid key is served.
        """
        connection: ClientConnection | None = current.environ.get(CONNECTION)
        if connection is not None and connection.is_extra:
            raise Overloaded from None
        self._wrong_keys.note(record, current.remote_addr, connection)


def open_record(current: Request, proxy_hops: int) -> RequestRecord:
    """The record of this request: the worker's, or a new one where no worker of ours runs."""
    record: RequestRecord = current.environ.get(RECORD) or RequestRecord()
    record.client_request_id = current.headers.get("X-Request-Id")
    record.trace = find_context(current.environ)
    if proxy_hops:
        forwarded = current.headers.get("X-Forwarded-For", "").split(",")
        hops = [hop.strip() for hop in forwarded if hop.strip()]
        if len(hops) >= proxy_hops and address_of(hops[-proxy_hops]):
            record.peer = hops[-proxy_hops]
    return record


def find_principal(headers: Headers, ring: Ring) -> Principal:
    """Who the request's credentials belong to. X-API-Key decides where both headers are there.

    Raises MissingOrInvalidKey, or AmbiguousCredentials for two active keys of different names.
    """
    bearer = read_bearer(headers.get("Authorization", ""))
    direct = headers.get("X-API-Key", "").strip(BLANK)
    by_direct = _look_up(ring, direct)
    by_bearer = by_direct if bearer == direct else _look_up(ring, bearer)
    if by_direct and by_bearer and by_direct.name != by_bearer.name:
        raise AmbiguousCredentials
    record = by_direct if direct else by_bearer
    if record is None:
        is_jwt = not direct and bearer.count(".") == 2 and bearer.startswith("ey")
        raise MissingOrInvalidKey(JWT_HINT if is_jwt else None)
    source = "X-API-Key" if direct else "Authorization"
    secret = bytes.fromhex(record.digest)
    return Principal(record.name, record.key_id, frozenset(record.scopes), source, secret, record.cache_group)


def read_bearer(value: str) -> str:
    """The token of an `Authorization: Bearer` value; an empty text for any other."""
    scheme, _, token = value.strip(BLANK).partition(" ")
    return token.strip(BLANK) if scheme.lower() == "bearer" else ""


def _look_up(ring: Ring, key: str) -> KeyRecord | None:
    # WSGI header values are latin-1 texts of the bytes that came.
    return ring.find(key.encode("latin-1", errors="replace")) if key else None


def check_scope(principal: Principal, route: Route, ring: Ring) -> None:
    """Raises InsufficientScope where this key may not use this route."""
    if route.access is Access.INFERENCE and "inference" not in principal.scopes:
        raise InsufficientScope("This API key lacks the scope inference.")
    is_for_admins = route.access is Access.ADMIN or (route.access is Access.RELOAD and ring.has_admin)
    if is_for_admins and "admin" not in principal.scopes:
        raise InsufficientScope(LACKS_ADMIN if ring.has_admin else NO_ADMIN_YET)


def _needs_host(current: Request) -> bool:
    return current.environ.get("SERVER_PROTOCOL") != "HTTP/1.0"
