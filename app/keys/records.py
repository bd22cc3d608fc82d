"""The key file's format: from its bytes to checked records that hold only digests."""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from app.strict_json import decode_object

MAX_KEY_BYTES = 512
MAX_FILE_BYTES = 8 * 1024 * 1024
DEFAULT_SCOPES = ("inference",)
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
PLACEHOLDERS = frozenset(("changeme", "change-me", "your-api-key", "sk-...", "sk-…", "todo"))


class KeyFileError(Exception):
    """The file as a whole cannot be used; the text names entries, never keys."""


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

    def is_active(self, now: float) -> bool:
        """Whether the key counts at this wall-clock time."""
        in_time = self.not_before <= now and (self.expires is None or now < self.expires)
        return in_time and not self.disabled


class KeyFile(msgspec.Struct, frozen=True):
    """What a file held: usable records, and a sentence for each entry that was left out."""

    records: list[KeyRecord]
    problems: list[str] = []


def digest_of(key: bytes) -> str:
    """SHA-256 of a key, in hex."""
    return hashlib.sha256(key).hexdigest()


def parse_key_file(data: bytes) -> KeyFile:
    """Read `{name: entry}`; an entry is a key, a rich object, or a list of either.

    Raises KeyFileError when the file is no such object or has no usable key.
    """
    if len(data) > MAX_FILE_BYTES:
        raise KeyFileError("the key file is larger than 8 MiB")
    try:
        entries = decode_object(data.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        raise KeyFileError("the key file is not one JSON object with distinct names") from None
    records: list[KeyRecord] = []
    problems: list[str] = []
    for name, entry in entries.items():
        try:
            records.extend(_read_name(name, entry))
        except EntryError as error:
            problems.append(f"entry {name!r}: {error}")
    records, shared = _without_shared_keys(records)
    problems += shared
    if not records:
        detail = "; ".join(problems) or "it is empty"
        raise KeyFileError(f"the key file has no usable key: {detail}")
    return KeyFile(records, problems)


def _read_name(name: str, entry: Any) -> Iterator[KeyRecord]:
    if not name.strip():
        raise EntryError("the name is blank")
    for member in entry if isinstance(entry, list) else [entry]:
        if isinstance(member, str):
            yield _record(name, {"key": member})
        elif isinstance(member, dict):
            yield _record(name, member)
        else:
            raise EntryError("expected a key, an object or a list of them")


def _record(name: str, entry: dict[str, Any]) -> KeyRecord:
    digest = _read_digest(entry)
    key_id = entry.get("id", "k_" + digest[:8])
    scopes = entry.get("scopes", list(DEFAULT_SCOPES))
    if not (isinstance(key_id, str) and key_id.strip()):
        raise EntryError("id must be a text")
    if not (isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)):
        raise EntryError("scopes must be a list of texts")
    if not isinstance(entry.get("disabled", False), bool):
        raise EntryError("disabled must be true or false")
    return KeyRecord(
        name=name,
        key_id=key_id,
        digest=digest,
        scopes=tuple(scopes),
        not_before=_read_time(entry, "not_before") or 0.0,
        expires=_read_time(entry, "expires"),
        disabled=entry.get("disabled", False),
    )


def _read_digest(entry: dict[str, Any]) -> str:
    key, digest = entry.get("key"), entry.get("digest")
    if (key is None) == (digest is None):
        raise EntryError("exactly one of key and digest is needed")
    if digest is not None:
        match = DIGEST.fullmatch(digest) if isinstance(digest, str) else None
        if match is None:
            raise EntryError("digest must be sha256: and 64 lower-case hex digits")
        return match[1]
    if not isinstance(key, str) or not key.strip() or key != key.strip():
        raise EntryError("the key is not a text, is blank, or has spaces around it")
    if key.lower() in PLACEHOLDERS:
        raise EntryError("the key is a placeholder")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise EntryError(f"the key is longer than {MAX_KEY_BYTES} bytes")
    return digest_of(key.encode())


def _read_time(entry: dict[str, Any], field: str) -> float | None:
    value = entry.get(field)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise EntryError(f"{field} must be an RFC 3339 time with a zone, such as 2027-01-01T00:00Z")
    return moment.timestamp()


def _without_shared_keys(records: list[KeyRecord]) -> tuple[list[KeyRecord], list[str]]:
    """A key under two names belongs to nobody; twice under one name it counts once."""
    by_digest: dict[str, KeyRecord] = {}
    names: dict[str, set[str]] = {}
    for record in records:
        by_digest.setdefault(record.digest, record)
        names.setdefault(record.digest, set()).add(record.name)
    shared = {digest for digest, holders in names.items() if len(holders) > 1}
    problems = [f"entries {sorted(names[digest])} hold the same key" for digest in sorted(shared)]
    return [record for digest, record in by_digest.items() if digest not in shared], problems
