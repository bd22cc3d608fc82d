"""The look-up: which active key is this?"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass

from app.keys.records import MAX_KEY_BYTES, KeyRecord


@dataclass(frozen=True, slots=True)
class Ring:
    """An immutable key set. Only digests are held; the cost does not grow with their number."""

    by_digest: dict[bytes, KeyRecord]
    has_admin: bool

    @classmethod
    def of(cls, records: Iterable[KeyRecord]) -> "Ring":
        """Index the records; a disabled or expired admin key still counts for `has_admin`."""
        by_digest = {bytes.fromhex(record.digest): record for record in records}
        has_admin = any("admin" in record.scopes for record in by_digest.values())
        return cls(by_digest, has_admin)

    def listed(self) -> list[KeyRecord]:
        """Every record, as people are shown them: by name, then by id."""
        return sorted(self.by_digest.values(), key=lambda record: (record.name, record.key_id))

    def find(self, key: bytes) -> KeyRecord | None:
        """The active record of this key, or None; the wall clock decides about expiry.

        A caller cannot steer the digest, so the time of the look-up tells nothing about the keys.
        """
        digest = hashlib.sha256(key[: MAX_KEY_BYTES + 1]).digest()
        record = self.by_digest.get(digest)
        if record is None or len(key) > MAX_KEY_BYTES:
            return None
        return record if record.is_active(time.time()) else None
