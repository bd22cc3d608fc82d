"""Usage in PostgreSQL, for several instances, by pg8000: pure Python, so that it waits as gevent does."""

import ssl
import struct
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, TypeVar

from pg8000.native import Connection, DatabaseError, Error
from scramp import ScramException

from app.accounts.errors import AccountsUnavailable
from app.accounts.place import ServerPlace
from app.accounts.tables import check_version, make_tables
from app.logs import clean

T = TypeVar("T")
ANSWER_SECONDS = 5.0  # for the connection, and for each answer on it
STATEMENT_MILLISECONDS = 4000
# One of the numbers by which programs of a database keep apart (pg_advisory_xact_lock): "gateway" as letters.
MAKING_TABLES = 0x67617465776179
HAS_TABLES = "SELECT to_regclass('gateway_schema') IS NOT NULL"
WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
# What the driver lets out where the other side is no PostgreSQL: it takes each message for what it should be.
NONSENSE = (LookupError, ValueError, TypeError, AttributeError, struct.error, ScramException)
READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresqlSession:
    """One transaction on a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, statement: str, **values: Any) -> Sequence[Any]:
        """The rows of one statement."""
        return self._connection.run(statement, **values) or ()

    def run_many(self, statement: str, rows: Sequence[dict[str, Any]]) -> None:
        """The same statement for each of these values; it is read once."""
        if not rows:
            return
        with closing(self._connection.prepare(statement)) as prepared:
            for row in rows:
                prepared.run(**row)


class PostgresqlDatabase:
    """A database of a server; one connection for each transaction, so that none is held between them."""

    kind = "postgresql"

    def __init__(self, place: ServerPlace) -> None:
        self._place = place

    def write(self, work: Callable[[PostgresqlSession], T]) -> T:
        """Do it in a transaction. Raises AccountsUnavailable."""

        def prepare(session: PostgresqlSession) -> None:
            if not session.run(HAS_TABLES)[0][0]:
                session.run(f"SELECT pg_advisory_xact_lock({MAKING_TABLES})")
                make_tables(session)

        return self._transact(WRITING, prepare, work)

    def read(self, work: Callable[[PostgresqlSession], T]) -> T:
        """Do it in a snapshot. Raises AccountsUnavailable."""
        return self._transact(READING, lambda _: None, work)

    def _transact(
        self,
        begin: str,
        prepare: Callable[[PostgresqlSession], None],
        work: Callable[[PostgresqlSession], T],
    ) -> T:
        try:
            with closing(self._connect()) as connection:
                session = PostgresqlSession(connection)
                session.run(begin)
                session.run(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
                prepare(session)
                check_version(session)
                result = work(session)
                session.run("COMMIT")
                return result
        except (Error, OSError, UnicodeError) as error:  # the last for a host that can be none
            raise AccountsUnavailable(_reason(error)) from error
        except NONSENSE as error:
            raise AccountsUnavailable("what is there does not speak as PostgreSQL does") from error

    def _connect(self) -> Connection:
        place = self._place
        socket = place.socket and f"{place.socket}/.s.PGSQL.{place.port}"
        return Connection(
            place.user,
            host=place.host or None,
            port=place.port,
            unix_sock=socket,
            database=place.database,
            password=place.password,
            ssl_context=False if socket else _tls(place.tls),
            timeout=ANSWER_SECONDS,
            application_name="vllm-gateway",
        )


def _tls(way: str) -> ssl.SSLContext | bool | None:
    """What pg8000 takes: None asks for TLS but does without, True insists and looks at no certificate."""
    ways: dict[str, bool | None] = {"prefer": None, "disable": False, "require": True}
    return ssl.create_default_context() if way == "verify-full" else ways[way]


def _reason(error: BaseException) -> str:
    """The server's own sentence, or the kind of the failure: never the address, which has the password."""
    fields = error.args[0] if error.args else None
    if isinstance(error, DatabaseError) and isinstance(fields, dict) and "C" in fields:
        return f"PostgreSQL says: {clean(str(fields.get('M')))} ({fields['C']})"
    cause = error.__cause__ or error
    return f"PostgreSQL cannot be reached ({clean(str(cause)) or type(cause).__name__})"
