"""What a database of usage can do, whichever it is: statements in one transaction.

Both kinds read the same statements: parameters are `:name`, and `INSERT … ON CONFLICT` is in both.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from app.accounts.place import FilePlace, Place
from app.accounts.sqlite import SqliteDatabase

Row = Sequence[Any]
T = TypeVar("T")


class Session(Protocol):
    """One transaction."""

    def run(self, statement: str, **values: Any) -> Sequence[Row]:
        """The rows of one statement."""

    def run_many(self, statement: str, rows: Sequence[dict[str, Any]]) -> None:
        """The same statement for each of these values."""


class Database(Protocol):
    """A place that keeps usage. Each call takes a connection of its own, and may take seconds."""

    kind: str  # for people: `sqlite` or `postgresql`

    def write(self, work: Callable[[Session], T]) -> T:
        """Do it in a transaction, with the tables made before. Raises AccountsUnavailable or DamagedFile."""

    def read(self, work: Callable[[Session], T]) -> T:
        """Do it in a snapshot that nobody changes meanwhile. Raises AccountsUnavailable."""


def open_database(place: Place | None) -> Database | None:
    """The database at a place; nothing is connected yet, and a driver is imported where it is needed."""
    if place is None:
        return None
    if isinstance(place, FilePlace):
        return SqliteDatabase(place)
    from app.accounts.postgresql import PostgresqlDatabase

    return PostgresqlDatabase(place)
