"""The key set of the whole instance, as one worker sees it."""

import time
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import gevent
import msgspec
from gevent.threadpool import ThreadPool

from app.instance import Instance
from app.keys.errors import KeyFileError, KeyStoreError, StoreUnavailable
from app.keys.key_file import MOST_SENTENCES, KeyFile, listed, parse_key_file
from app.keys.key_store import KeyStore
from app.keys.records import KeyRecord
from app.keys.ring import Ring

STORE_SECONDS = 10.0  # for one reading, retries included
WENT_BACK = "the store gave an older version than the one in use"


class KeySet(msgspec.Struct, frozen=True, array_like=True):
    """What workers exchange: digests and what goes with them, and each key's place among the times of use."""

    records: list[KeyRecord] = []
    places: list[int] = []


class Report(msgspec.Struct, frozen=True):
    """How reading the store went; `failure` of the last reading, `confirmed_at` by CLOCK_MONOTONIC."""

    version: int | None = None
    confirmed_at: float | None = None
    problems: list[str] = []
    warnings: list[str] = []
    failure: str | None = None


class Reload(msgspec.Struct, frozen=True):
    """What a reload did, by key name. Without `reloaded` the set before stays, for the `reason`."""

    reloaded: bool
    generation: int
    version: int | None
    keys: int
    added: list[str] = []
    removed: list[str] = []
    changed: list[str] = []
    problems: list[str] = []
    warnings: list[str] = []
    reason: str | None = None

    @property
    def is_news(self) -> bool:
        """Whether anything is not as it was before."""
        return bool(self.added or self.removed or self.changed or self.problems)

    def log_fields(self) -> dict[str, Any]:
        """What a line of log tells, long lists cut."""
        names = {"added_names": self.added, "removed_names": self.removed, "changed_names": self.changed}
        sentences = {"problems": self.problems, "warnings": self.warnings}
        shown = {field: found[:MOST_SENTENCES] for field, found in (names | sentences).items()}
        return {"generation": self.generation, "version": self.version, "keys": self.keys, **shown}


SETS = msgspec.json.Decoder(KeySet)
REPORTS = msgspec.json.Decoder(Report)


class SharedKeys:
    """Reads the store for all workers, and follows what any worker read.

    Workers exchange digests through shared memory; the store is read once for all of them.
    """

    def __init__(self, store: KeyStore, instance: Instance) -> None:
        self.store = store
        self._instance = instance
        self._generation = 0
        self._ring = Ring.of(())
        self._places: dict[bytes, int] = {}

    @property
    def are_loaded(self) -> bool:
        """Whether any key set was ever published in this instance."""
        return self.generation > 0

    @property
    def generation(self) -> int:
        """How often the set changed in this instance; 0 while there is none."""
        return self._instance.key_set.generation

    @property
    def ring(self) -> Ring:
        """The set that is current in the whole instance at this moment."""
        if self._generation != self.generation:
            self._generation, content = self._instance.key_set.read()
            current = SETS.decode(content)
            self._ring = Ring.of(current.records)
            self._places = dict(zip(self._ring.by_digest, current.places, strict=True))
        return self._ring

    @property
    def report(self) -> Report:
        """How the last reading went, whichever worker did it."""
        _, content = self._instance.key_report.read()
        return REPORTS.decode(content) if content else Report()

    @property
    def age(self) -> float | None:
        """Seconds since the store last confirmed the set in use; None before the first time."""
        confirmed_at = self.report.confirmed_at
        return None if confirmed_at is None else time.monotonic() - confirmed_at

    def note_use(self, digest: bytes) -> None:
        """This key of the current set opened the gateway just now."""
        place = self._place_of(digest)
        if place is not None:
            self._instance.key_used[place] = time.time()

    def last_used(self, digest: bytes) -> float | None:
        """When the key was last used in this instance, in seconds since the epoch."""
        place = self._place_of(digest)
        return None if place is None else self._instance.key_used[place] or None

    def _place_of(self, digest: bytes) -> int | None:
        return self._places.get(digest) if self.ring.by_digest else None

    def reload(self, *, strict: bool, version: int | None = None) -> Reload:
        """Read the store and make its set current in every worker before returning.

        `strict` takes all entries or none; otherwise the usable ones are taken. A set that is older than
        the one in use is not taken. Raises KeyStoreError, and then the set before stays.
        """
        with self._instance.lock():
            before = self.report
            try:
                if version is not None and version < (before.version or 0):
                    return self._keep("a newer version is in use already")
                found, read_version = self._read(version)
                if (read_version or 0) < (before.version or 0):
                    self._tell(msgspec.structs.replace(before, failure=WENT_BACK))
                    return self._keep(WENT_BACK)
                if strict and found.problems:
                    raise KeyFileError(listed(found.problems))
            except KeyStoreError as error:
                self._tell(msgspec.structs.replace(before, failure=str(error)))
                raise
            result = self._take(found, read_version)
            most = slice(MOST_SENTENCES)
            self._tell(Report(read_version, time.monotonic(), found.problems[most], found.warnings[most]))
            return result

    def _keep(self, reason: str) -> Reload:
        keys = len(self.ring.by_digest)
        return Reload(False, self._generation, self.report.version, keys, reason=reason)

    def _tell(self, report: Report) -> None:
        if report != self.report:
            self._instance.key_report.publish(msgspec.json.encode(report))

    @cached_property
    def _threads(self) -> ThreadPool:
        # One thread, made after the fork: a volume that hangs must not take them all.
        return ThreadPool(1)

    def _read(self, version: int | None) -> tuple[KeyFile, int | None]:
        def read() -> tuple[KeyFile, int | None]:
            content = self.store.read(version)
            return parse_key_file(content.data), content.version

        # Not an exception of ours: a library that retries would swallow it.
        with gevent.Timeout(STORE_SECONDS) as limit:
            try:
                return self._threads.apply(read) if self.store.blocks else read()
            except gevent.Timeout as expired:
                if expired is not limit:
                    raise
                seconds = f"{STORE_SECONDS:g} seconds"
                raise StoreUnavailable(f"the store did not answer within {seconds}") from None

    def _take(self, found: KeyFile, version: int | None) -> Reload:
        before = _by_name(self.ring.by_digest.values())
        after = _by_name(found.records)
        if after != before or not self.are_loaded:
            new = KeySet(found.records, self._choose_places(found.records))
            self._instance.key_set.publish(msgspec.json.encode(new))
        return Reload(
            reloaded=True,
            generation=self.generation,
            version=version,
            keys=len(found.records),
            added=sorted(after.keys() - before.keys()),
            removed=sorted(before.keys() - after.keys()),
            changed=sorted(name for name in after.keys() & before.keys() if after[name] != before[name]),
            problems=found.problems,
            warnings=found.warnings,
        )

    def _choose_places(self, records: list[KeyRecord]) -> list[int]:
        """A key that stays keeps its place; a new one gets a place that nobody had just now."""
        taken = set(self._places.values())
        free = (place for place in range(len(self._instance.key_used)) if place not in taken)
        places = []
        for record in records:
            place = self._places.get(bytes.fromhex(record.digest))
            if place is None:
                place = next(free)
                self._instance.key_used[place] = 0.0
            places.append(place)
        return places


def _by_name(records: Iterable[KeyRecord]) -> dict[str, set[KeyRecord]]:
    names: dict[str, set[KeyRecord]] = {}
    for record in records:
        names.setdefault(record.name, set()).add(record)
    return names
