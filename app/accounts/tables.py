"""The tables of usage, and the statements on them, in the SQL that SQLite and PostgreSQL share.

- `gateway_usage`: what each key used of each model, by hour (its beginning, in seconds since the epoch).
- `gateway_time`: what the instances did with their time, by hour.
- `gateway_written`, `gateway_instances`: how much of each instance's counts is in the other two already.
- `gateway_schema`: which version of these tables this is.
"""

from typing import TYPE_CHECKING

from app.accounts.errors import AccountsUnavailable
from app.counts import USAGE_COLUMNS

if TYPE_CHECKING:
    from app.accounts.database import Session

VERSION = 1
TIME_COLUMNS = ("startup_seconds", "ready_seconds", "busy_seconds")
LABELS = ("key_name", "model")


def _declare(columns: tuple[str, ...]) -> str:
    kinds = {name: "DOUBLE PRECISION" if name.endswith("_seconds") else "BIGINT" for name in columns}
    return ", ".join(f"{name} {kind} NOT NULL" for name, kind in kinds.items())


USAGE_TABLE = f"""CREATE TABLE IF NOT EXISTS gateway_usage (
hour BIGINT NOT NULL, key_name TEXT NOT NULL, model TEXT NOT NULL, {_declare(USAGE_COLUMNS)},
PRIMARY KEY (hour, key_name, model))"""
TIME_TABLE = f"CREATE TABLE IF NOT EXISTS gateway_time (hour BIGINT PRIMARY KEY, {_declare(TIME_COLUMNS)})"
WRITTEN_TABLE = f"""CREATE TABLE IF NOT EXISTS gateway_written (
instance TEXT NOT NULL, key_name TEXT NOT NULL, model TEXT NOT NULL, {_declare(USAGE_COLUMNS)},
PRIMARY KEY (instance, key_name, model))"""
INSTANCES_TABLE = f"""CREATE TABLE IF NOT EXISTS gateway_instances (
instance TEXT PRIMARY KEY, written_at BIGINT NOT NULL, has_ended BIGINT NOT NULL, {_declare(TIME_COLUMNS)})"""
SCHEMA_TABLE = "CREATE TABLE IF NOT EXISTS gateway_schema (version BIGINT PRIMARY KEY)"


def insert(table: str, keys: tuple[str, ...], columns: tuple[str, ...], *, adds: bool) -> str:
    """A statement that makes a row, or adds to the numbers of the row that is there, or replaces them."""
    names = (*keys, *columns)
    given = ", ".join(f":{name}" for name in names)
    base = {name: f"{table}.{name} + " if adds else "" for name in columns}
    changes = ", ".join(f"{name} = {base[name]}excluded.{name}" for name in columns)
    made = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({given})"  # noqa: S608  names of ours
    return f"{made} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"


ADD_USAGE = insert("gateway_usage", ("hour", *LABELS), USAGE_COLUMNS, adds=True)
ADD_TIME = insert("gateway_time", ("hour",), TIME_COLUMNS, adds=True)
SET_WRITTEN = insert("gateway_written", ("instance", *LABELS), USAGE_COLUMNS, adds=False)
# The first statement of each write: it also keeps every other writer of the same instance waiting.
ENTER = """INSERT INTO gateway_instances
(instance, written_at, has_ended, startup_seconds, ready_seconds, busy_seconds)
VALUES (:instance, :now, 0, 0, 0, 0)
ON CONFLICT (instance) DO UPDATE SET written_at = excluded.written_at"""
SET_INSTANCE = """UPDATE gateway_instances SET startup_seconds = :startup_seconds,
ready_seconds = :ready_seconds, busy_seconds = :busy_seconds, has_ended = :has_ended
WHERE instance = :instance"""
GET_INSTANCE = """SELECT has_ended, startup_seconds, ready_seconds, busy_seconds
FROM gateway_instances WHERE instance = :instance"""
GET_WRITTEN = (
    f"SELECT key_name, model, {', '.join(USAGE_COLUMNS)} FROM gateway_written WHERE instance = :instance"  # noqa: S608
)
DROP_WRITTEN = "DELETE FROM gateway_written WHERE instance = :instance"
DROP_OLD_WRITTEN = """DELETE FROM gateway_written
WHERE instance IN (SELECT instance FROM gateway_instances WHERE written_at < :before)"""
DROP_OLD_INSTANCES = "DELETE FROM gateway_instances WHERE written_at < :before"


def make_tables(session: "Session") -> None:
    """Make what is not there."""
    for table in (USAGE_TABLE, TIME_TABLE, WRITTEN_TABLE, INSTANCES_TABLE, SCHEMA_TABLE):
        session.run(table)
    session.run(f"INSERT INTO gateway_schema (version) VALUES ({VERSION}) ON CONFLICT DO NOTHING")  # noqa: S608


def check_version(session: "Session") -> None:
    """Keep away from the tables of another version. Raises AccountsUnavailable."""
    versions = [version for (version,) in session.run("SELECT version FROM gateway_schema")]
    if versions != [VERSION]:
        raise AccountsUnavailable("its tables were made by another version of the gateway")
