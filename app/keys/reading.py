"""One reading of the store, without stopping the event loop."""

import hashlib
from functools import cached_property

import msgspec
from gevent.threadpool import ThreadPool

from app.keys.errors import KeyStoreError
from app.keys.key_file import KeyFile, parse_key_file
from app.keys.key_store import KeyStore


class Found(msgspec.Struct, frozen=True):
    """What the store held: SHA-256 of it in hex, its version, and the file unless that content was known."""

    content: str
    version: int | None
    file: KeyFile | None


class Reader:
    """Reads a store in this greenlet, or in a thread where the store would stop the event loop."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store

    @cached_property
    def _threads(self) -> ThreadPool:
        # One thread, made after the fork: a volume that hangs must not take them all.
        return ThreadPool(1)

    def read(self, version: int | None, known: str | None) -> Found:
        """The newest version or that one; content of the digest `known` is not parsed again.

        Raises KeyStoreError.
        """
        outcome = (
            self._threads.apply(self._read, (version, known))
            if self._store.blocks
            else self._read(version, known)
        )
        if isinstance(outcome, KeyStoreError):
            raise outcome
        return outcome

    def _read(self, version: int | None, known: str | None) -> Found | KeyStoreError:
        try:
            content = self._store.read(version)
            digest = hashlib.sha256(content.data).hexdigest()
            return Found(digest, content.version, None if digest == known else parse_key_file(content.data))
        except KeyStoreError as error:
            return error  # gevent would print an exception that leaves a thread
