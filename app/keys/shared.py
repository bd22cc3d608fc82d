"""The key set of the whole instance, as one worker sees it."""

from dataclasses import dataclass

import msgspec

from app.instance import Instance
from app.keys.records import KeyFileError, KeyRecord, parse_key_file
from app.keys.ring import Ring
from app.keys.stores import KeyStore

SNAPSHOT = msgspec.json.Decoder(list[KeyRecord])


@dataclass(frozen=True, slots=True)
class Reload:
    """What a reload changed, by key name."""

    generation: int
    keys: int
    added: list[str]
    removed: list[str]
    problems: list[str]


class SharedKeys:
    """Reads the store for all workers, and follows what any worker read.

    Workers exchange digests through shared memory; the store is read once for all of them.
    """

    def __init__(self, store: KeyStore, instance: Instance) -> None:
        self._store = store
        self._instance = instance
        self._generation = 0
        self._ring = Ring.of(())

    @property
    def are_loaded(self) -> bool:
        """Whether any key set was ever published in this instance."""
        return self._instance.key_generation > 0

    @property
    def ring(self) -> Ring:
        """The set that is current in the whole instance at this moment."""
        if self._generation != self._instance.key_generation:
            self._generation, snapshot = self._instance.read_keys()
            self._ring = Ring.of(SNAPSHOT.decode(snapshot))
        return self._ring

    def reload(self, *, strict: bool) -> Reload:
        """Read the store and make its set current in every worker before returning.

        `strict` takes all entries or none; otherwise the usable ones are taken.
        Raises KeyFileError, and then the set before stays.
        """
        with self._instance.lock():
            found = parse_key_file(self._store.read())
            if strict and found.problems:
                raise KeyFileError("; ".join(found.problems))
            before = {record.name for record in self.ring.by_digest.values()}
            if set(found.records) != set(self.ring.by_digest.values()) or not self.are_loaded:
                self._instance.publish_keys(msgspec.json.encode(found.records))
            after = {record.name for record in found.records}
            return Reload(
                generation=self._instance.key_generation,
                keys=len(found.records),
                added=sorted(after - before),
                removed=sorted(before - after),
                problems=found.problems,
            )
