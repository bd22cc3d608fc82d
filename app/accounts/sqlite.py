"""Usage in a file, by SQLite.

With a rollback journal: what WAL gains is nothing to one small write every few seconds, and it needs memory
that is shared between the readers of a file, which no network disk has (https://sqlite.org/wal.html).
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, TypeVar
from urllib.parse import quote

from app.accounts.errors import AccountsUnavailable, DamagedFile
from app.accounts.place import FilePlace
from app.accounts.tables import check_version, make_tables

T = TypeVar("T")
BUSY_SECONDS = 2.0  # for another instance that writes at the same moment
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
PRIMARY_CODE = 0xFF  # the rest of an extended result code says more than is needed here
HAS_TABLES = "SELECT count(*) FROM sqlite_master WHERE name = 'gateway_schema'"


class SqliteSession:
    """One transaction in the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, statement: str, **values: Any) -> list[Any]:
        """The rows of one statement."""
        return self._connection.execute(statement, values).fetchall()

    def run_many(self, statement: str, rows: Sequence[dict[str, Any]]) -> None:
        """The same statement for each of these values."""
        self._connection.executemany(statement, rows)


class SqliteDatabase:
    """The file; it is made at the first write, and again should it be gone."""

    kind = "sqlite"

    def __init__(self, place: FilePlace) -> None:
        self._path = place.path

    def write(self, work: Callable[[SqliteSession], T]) -> T:
        """Do it in a transaction. Raises DamagedFile, once that is moved aside, or AccountsUnavailable."""
        before = self._identity()
        try:
            return self._transact(work, mode="rwc", begin="BEGIN IMMEDIATE")
        except DamagedFile as damage:
            raise DamagedFile(str(damage), self._move_aside(before)) from damage

    def read(self, work: Callable[[SqliteSession], T]) -> T:
        """Do it in a snapshot, and make nothing. Raises AccountsUnavailable.

        What a killed writer has left half done SQLite takes back first, so it has to be able to write.
        """
        return self._transact(work, mode="rw", begin="BEGIN")

    def _transact(self, work: Callable[[SqliteSession], T], *, mode: str, begin: str) -> T:
        address = f"file:{quote(os.path.abspath(self._path))}?mode={mode}"
        if mode == "rwc":
            self._make_private()
        try:
            connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
            with closing(connection):
                connection.execute(begin)
                session = SqliteSession(connection)
                if mode == "rwc" and not session.run(HAS_TABLES)[0][0]:
                    make_tables(session)
                check_version(session)
                result = work(session)
                connection.execute("COMMIT")
                return result
        except sqlite3.Error as error:
            kind = DamagedFile if _is_damage(error) else AccountsUnavailable
            raise kind(f"SQLite says: {error}") from error

    def _make_private(self) -> None:
        """Where there is no file yet, make one that only this user reads: SQLite's would be for all."""
        with contextlib.suppress(OSError):  # which SQLite finds as well, and has a sentence for
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _move_aside(self, damaged: tuple[int, int] | None) -> str | None:
        """Keep the file under another name, which is returned; not where another instance has replaced it."""
        if damaged is None or self._identity() != damaged:
            return None
        aside = f"{self._path}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        try:
            os.rename(self._path, aside)
        except OSError as error:
            raise AccountsUnavailable(f"the damaged file cannot be moved aside: {error.strerror}") from error
        with contextlib.suppress(OSError):  # else the new file would be mended by the old one's journal
            os.rename(f"{self._path}-journal", f"{aside}-journal")
        return aside


def _is_damage(error: sqlite3.Error) -> bool:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & PRIMARY_CODE in DAMAGED
