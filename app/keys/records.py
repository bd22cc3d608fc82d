"""One entry of the key file: from what stands there to a checked record that holds only a digest."""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from app.keys.new_key import has_wrong_checksum

MAX_KEY_BYTES = 512
ALLOW_EMPTY = "_allow_empty"  # a file that means to let nobody in says so with this member
MAX_ID_CHARS, MAX_NAME_CHARS = 64, 128
DEFAULT_SCOPES = ("inference",)
KNOWN_FIELDS = frozenset(
    ("key", "digest", "id", "scopes", "not_before", "expires", "disabled")
    + ("cache_group", "created", "ending", "limits", "note", "owner")
)
GUESSABLE_CHARS = 20  # a shorter key may be one that a person thought up
TIME = re.compile(r"[12]\d{3}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # and lone surrogates: bytes that are no UTF-8
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
PLACEHOLDER = re.compile(
    r"(?:sk[-_])?(?:x+|\.+|…|\*+|<.*>|\$\{.*\}|(?:change|replace)[-_ ]?(?:me|this|it)\b.*|your[-_ ].*"
    r"|todo|placeholder|example|api[-_]?key|secret|password|test|none|null)",
    re.IGNORECASE | re.DOTALL,
)
LOOKS_LIKE_A_KEY = re.compile(r"(?<![0-9A-Za-z])(?:sk|vgw)[-_]\S{12,}")


class EntryError(Exception):
    """One entry cannot be used; the text never holds its key."""


class KeyRecord(msgspec.Struct, frozen=True):
    """One key of one name. `digest` is SHA-256 in hex; times are seconds since the epoch."""

    name: str
    key_id: str
    digest: str
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    not_before: float = 0.0
    expires: float | None = None
    disabled: bool = False
    cache_group: str | None = None

    def is_active(self, now: float) -> bool:
        """Whether the key counts at this wall-clock time."""
        in_time = self.not_before <= now and (self.expires is None or now < self.expires)
        return in_time and not self.disabled

    def state(self, now: float) -> str:
        """`active`, `disabled`, `expired` or `not yet valid`."""
        if self.disabled:
            return "disabled"
        if self.expires is not None and self.expires <= now:
            return "expired"
        return "active" if self.is_active(now) else "not yet valid"


def digest_of(key: bytes) -> str:
    """SHA-256 of a key, in hex."""
    return hashlib.sha256(key).hexdigest()


def read_entry(name: str, entry: Any) -> KeyRecord:
    """The record of one key: a text, or an object. Raises EntryError."""
    check_name(name)
    if isinstance(entry, str):
        entry = {"key": entry}
    if not isinstance(entry, dict):
        raise EntryError("expected a key, an object or a list of them")
    digest = _read_digest(entry)
    scopes = entry.get("scopes", list(DEFAULT_SCOPES))
    if not (isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)):
        raise EntryError("scopes must be a list of texts")
    if not isinstance(entry.get("disabled", False), bool):
        raise EntryError("disabled must be true or false")
    return KeyRecord(
        name=name,
        key_id=_read_id(entry, "k_" + digest[:8]),
        digest=digest,
        scopes=tuple(scopes),
        not_before=_read_time(entry, "not_before") or 0.0,
        expires=_read_time(entry, "expires"),
        disabled=entry.get("disabled", False),
        cache_group=_read_group(entry),
    )


def check_name(name: str) -> None:
    """Raises EntryError for what cannot be the name of a key's holder."""
    if not name.strip() or name == ALLOW_EMPTY:
        raise EntryError("the name is blank, or one that the file format uses itself")
    if len(name) > MAX_NAME_CHARS:
        raise EntryError(f"the name is longer than {MAX_NAME_CHARS} characters")
    if CONTROL.search(name):
        raise EntryError("the name has control characters")
    if LOOKS_LIKE_A_KEY.search(name):
        raise EntryError("the name looks like a key; the name stands before the colon, the key behind it")


def may_be_shown(text: str, most: int = MAX_NAME_CHARS) -> bool:
    """Whether a name or a field may stand in a sentence: a key that stands in its place must not."""
    return len(text) <= most and not LOOKS_LIKE_A_KEY.search(text)


def _read_id(entry: dict[str, Any], default: str) -> str:
    key_id = entry.get("id", default)
    if not (isinstance(key_id, str) and key_id.strip() and len(key_id) <= MAX_ID_CHARS):
        raise EntryError(f"id must be a text of at most {MAX_ID_CHARS} characters")
    if CONTROL.search(key_id) or LOOKS_LIKE_A_KEY.search(key_id):
        raise EntryError("the id looks like a key or has control characters; ids are shown in lists and logs")
    return key_id


def _read_group(entry: dict[str, Any]) -> str | None:
    group = entry.get("cache_group")
    if group is not None and not (isinstance(group, str) and 0 < len(group) <= MAX_NAME_CHARS):
        raise EntryError(f"cache_group must be a text of 1 to {MAX_NAME_CHARS} characters")
    if group is not None and CONTROL.search(group):
        raise EntryError("cache_group has control characters")
    return group


def _read_digest(entry: dict[str, Any]) -> str:
    key, digest = entry.get("key"), entry.get("digest")
    if (key is None) == (digest is None):
        raise EntryError("exactly one of key and digest is needed")
    if digest is not None:
        match = DIGEST.fullmatch(digest) if isinstance(digest, str) else None
        if match is None:
            raise EntryError("digest must be sha256: and 64 lower-case hex digits")
        return match[1]
    return digest_of(_checked(key).encode())


def _checked(key: Any) -> str:
    if not isinstance(key, str) or not key.strip() or key != key.strip():
        raise EntryError("the key is not a text, is blank, or has spaces around it")
    if CONTROL.search(key):
        raise EntryError("the key has control characters, which no header can carry")
    if PLACEHOLDER.fullmatch(key):
        raise EntryError("the key is a placeholder")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise EntryError(f"the key is longer than {MAX_KEY_BYTES} bytes")
    if has_wrong_checksum(key):
        raise EntryError("the key was cut or mistyped: its last six characters do not fit the rest")
    return key


def read_time(value: Any) -> float:
    """Seconds since the epoch of an RFC 3339 text. Raises ValueError, also for a 30th of February."""
    if not (isinstance(value, str) and TIME.fullmatch(value)):
        raise ValueError
    return datetime.fromisoformat(value).timestamp()


def _read_time(entry: dict[str, Any], field: str) -> float | None:
    value = entry.get(field)
    if value is None:
        return None
    try:
        return read_time(value)
    except ValueError:
        hint = "an RFC 3339 time with a zone, such as 2027-01-01T00:00Z"
        raise EntryError(f"{field} must be {hint}") from None


def risks_of(entry: Any) -> Iterator[str]:
    """A sentence for each thing that is wrong with an entry that can be used."""
    key = entry if isinstance(entry, str) else entry.get("key")
    if key is not None and len(key) < GUESSABLE_CHARS:
        yield f"the key has fewer than {GUESSABLE_CHARS} characters and may be guessed"
    if not isinstance(entry, str):
        for field in sorted(entry.keys() - KNOWN_FIELDS):
            shown = repr(field) if may_be_shown(field, MAX_ID_CHARS) else "of one field"
            yield f"the name {shown} is not known and has no effect"
