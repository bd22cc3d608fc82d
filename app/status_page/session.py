"""Sessions of the status page: what a browser holds instead of a key, signed and of bounded life.

A cookie holds no key and nothing a key could be found by: only a tag, which this instance can compare with
the tags of its admin keys. The secret behind it is made in the master, before the fork, and lives as long as
the instance: another instance, or this one after a restart, asks to log in again.
"""

import hashlib
import hmac
import mmap
import secrets
import time

import msgspec
from itsdangerous import BadData, URLSafeSerializer

from app.keys.records import KeyRecord
from app.keys.ring import Ring

LIFE_SECONDS = 8 * 3600.0
IDLE_SECONDS = 3600.0
RENEW_SECONDS = 60.0  # a cookie that is used is made anew so often
MAX_COOKIE_CHARS = 512
ID_BYTES = 16
ENDED_SESSIONS = 4096  # that were logged out are remembered, the latest ones


class Session(msgspec.Struct, frozen=True, array_like=True):
    """Of one browser, by one key. Times are seconds since the epoch."""

    id: str
    key_tag: str
    begun: float
    used: float

    def is_live(self, now: float) -> bool:
        """Whether it may still be used at this time."""
        return self.begun <= now + RENEW_SECONDS and now < min(
            self.begun + LIFE_SECONDS, self.used + IDLE_SECONDS
        )


class Ended:
    """The sessions that were logged out, in memory that all workers share: a copied cookie ends with them."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, ID_BYTES * ENDED_SESSIONS + 8)
        self._count = memoryview(self._memory)[-8:].cast("Q")

    def add(self, session_id: str) -> None:
        """End this session everywhere."""
        at = ID_BYTES * (self._count[0] % ENDED_SESSIONS)
        self._memory[at : at + ID_BYTES] = bytes.fromhex(session_id)
        self._count[0] += 1

    def has(self, session_id: str) -> bool:
        """Whether this session was ended."""
        return self._memory.find(bytes.fromhex(session_id)) >= 0


class Sessions:
    """Makes and reads cookies and form tokens; make one before the fork."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        signed = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        self._signer = URLSafeSerializer(self._secret, salt="status page", signer_kwargs=signed)
        self._ended = Ended()
        self._ring: Ring | None = None
        self._admins: dict[str, KeyRecord] = {}

    def begin(self, record: KeyRecord) -> Session:
        """A new session by this key."""
        now = time.time()
        return Session(secrets.token_hex(ID_BYTES), self._tag(record), now, now)

    def renewed(self, session: Session) -> Session | None:
        """The session as used just now; None where the cookie tells that well enough."""
        now = time.time()
        return msgspec.structs.replace(session, used=now) if now - session.used >= RENEW_SECONDS else None

    def end(self, session: Session) -> None:
        """Log it out, in every worker and for every copy of its cookie."""
        self._ended.add(session.id)

    def cookie_of(self, session: Session) -> str:
        """What the browser keeps; in hex, since base64 may happen to look like an API key."""
        return str(self._signer.dumps(msgspec.to_builtins(session))).encode().hex()

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None for anything that is no cookie of ours, or whose time is over."""
        if not cookie or len(cookie) > MAX_COOKIE_CHARS:
            return None
        try:
            session = msgspec.convert(self._signer.loads(bytes.fromhex(cookie)), Session)
        except (BadData, ValueError, msgspec.MsgspecError):
            return None
        is_live = session.is_live(time.time())
        return session if is_live and not self._ended.has(session.id) else None

    def key_of(self, session: Session, ring: Ring) -> KeyRecord | None:
        """The key behind the session, where it is active and an admin's at this moment."""
        if self._ring is not ring:
            admins = (record for record in ring.by_digest.values() if "admin" in record.scopes)
            self._admins = {self._tag(record): record for record in admins}
            self._ring = ring
        record = self._admins.get(session.key_tag)
        return record if record is not None and record.is_active(time.time()) else None

    def token_of(self, session: Session) -> str:
        """What a form of this session must bring: no other site can read it."""
        return self._hash(b"form", session.id.encode())

    def is_token(self, session: Session, token: str) -> bool:
        """Whether it is the session's own."""
        return hmac.compare_digest(self.token_of(session).encode(), token.encode(errors="replace"))

    def _tag(self, record: KeyRecord) -> str:
        return self._hash(b"key", bytes.fromhex(record.digest))

    def _hash(self, purpose: bytes, content: bytes) -> str:
        return hmac.digest(self._secret, purpose + b":" + content, "sha256").hex()[:32]
