"""The key set of the whole instance, as one worker sees it."""

import time

import gevent
import msgspec
from gevent.lock import BoundedSemaphore

from app.instance import Instance
from app.keys.errors import KeyFileError, KeyStoreError, StoreUnavailable
from app.keys.key_file import KeyFile, listed, shortened
from app.keys.key_store import KeyStore
from app.keys.reading import Found, Reader
from app.keys.records import KeyRecord
from app.keys.ring import Ring
from app.keys.snapshot import Changes, KeySet, Reload, Report

STORE_SECONDS = 10.0  # for one reading, with its retries and the wait for those before it
LATE = "the store did not answer in time"
WENT_BACK = "the store gave an older version than the one in use"


SETS = msgspec.json.Decoder(KeySet)
REPORTS = msgspec.json.Decoder(Report)


class SharedKeys:
    """Reads the store for all workers, and follows what any worker read.

    Workers exchange digests through shared memory; the store is read once for all of them.
    """

    def __init__(self, store: KeyStore, instance: Instance) -> None:
        self.store = store
        self._reader = Reader(store)
        self._instance = instance
        self._turn = BoundedSemaphore(1)  # one of this worker at a time waits for the other workers
        self._generation = 0
        self._set = KeySet()
        self._ring = Ring.of(())
        self._places: dict[bytes, int] = {}

    @property
    def are_loaded(self) -> bool:
        """Whether any key set was ever published in this instance."""
        return self.generation > 0

    @property
    def generation(self) -> int:
        """How often the content changed in this instance; 0 while there is none."""
        return self._instance.key_set.generation

    @property
    def ring(self) -> Ring:
        """The set that is current in the whole instance at this moment."""
        self._follow()
        return self._ring

    def _follow(self) -> None:
        if self._generation == self.generation:
            return
        generation, content = self._instance.key_set.read()
        current = SETS.decode(content)
        ring = Ring.of(current.records)
        self._places = dict(zip(ring.by_digest, current.places, strict=True))
        self._set = msgspec.structs.replace(current, records=[], places=[])
        self._ring = ring
        self._generation = generation  # last: what fails before this is tried again

    @property
    def current(self) -> KeySet:
        """The current set without its records: version, problems, warnings."""
        self._follow()
        return self._set

    @property
    def report(self) -> Report:
        """How the last readings went, whichever worker did them."""
        _, content = self._instance.key_report.read()
        return REPORTS.decode(content) if content else Report()

    @property
    def version(self) -> int | None:
        """The highest version that is known to be in use; None where the store has no versions."""
        return max(filter(None, (self.current.version, self.report.version)), default=None)

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
        self._follow()
        return self._places.get(digest)

    def reload(self, version: int | None = None, *, routine: bool = False) -> Reload:
        """Read the store and make its set current in every worker before returning.

        A set replaces another whole or not at all; the first one is made of the usable entries, and a routine
        reading that finds the same again is content with it. A set that is older than the one in use is not
        taken. Raises KeyStoreError, and then the set before stays.
        """
        # Not an exception of ours: a library that retries would swallow it.
        with gevent.Timeout(STORE_SECONDS) as limit:
            try:
                with self._turn, self._instance.lock():
                    return self._reload(version, routine=routine)
            except gevent.Timeout as expired:
                if expired is not limit:
                    raise
                raise StoreUnavailable(LATE) from None
            except (OSError, RuntimeError, MemoryError) as error:
                raise StoreUnavailable("this machine is short of threads, files or memory") from error

    def _reload(self, version: int | None, *, routine: bool) -> Reload:
        newest = self.version or 0
        if version is not None and version < newest:
            return self._stay("a newer version is in use already")
        failure: str | None = LATE
        try:
            found = self._reader.read(version, self.current.content)
            if (found.version or 0) < newest:
                failure = WENT_BACK
                return self._stay(WENT_BACK)
            result = self._take(found, routine=routine)
            failure = None
            return result
        except KeyStoreError as error:
            failure = str(error)
            raise
        finally:
            if failure is not None:
                self._tell(msgspec.structs.replace(self.report, failure=failure))

    def _stay(self, reason: str) -> Reload:
        return Reload(False, self.generation, self.version, len(self.ring.by_digest), reason=reason)

    def _tell(self, report: Report) -> None:
        if report != self.report:
            self._instance.key_report.publish(msgspec.json.encode(report))

    def _take(self, found: Found, *, routine: bool) -> Reload:
        told = found.file or self.current
        if told.problems and self.are_loaded and not (found.file is None and routine):
            raise KeyFileError(listed(told.problems))
        changes = Changes() if found.file is None else self._publish(found.file, found)
        self._tell(Report(found.version, time.monotonic()))
        return Reload(
            reloaded=True,
            generation=self.generation,
            version=found.version,
            keys=len(self.ring.by_digest),
            changes=changes,
            problems=told.problems,
            warnings=told.warnings,
        )

    def _publish(self, file: KeyFile, found: Found) -> Changes:
        """Make the set current; returns the names that this changes something for."""
        before, after = set(self.ring.by_digest.values()), set(file.records)
        places = self._choose_places(file.records)
        told = (shortened(file.problems), shortened(file.warnings))
        try:
            new = KeySet(file.records, places, found.version, found.content, *told)
            self._instance.key_set.publish(msgspec.json.encode(new))
        except ValueError:
            raise KeyFileError("the keys take more memory than there is for them") from None
        names_before, names = {record.name for record in before}, {record.name for record in after}
        different = {record.name for record in before ^ after}
        return Changes(
            added=sorted(names - names_before),
            removed=sorted(names_before - names),
            changed=sorted(different & names & names_before),
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
