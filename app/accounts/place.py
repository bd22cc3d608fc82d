"""Where usage is kept, as USAGE_DATABASE names it."""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

OFF = "off"
SCHEMES = ("postgresql", "postgres")
TLS_WAYS = ("prefer", "disable", "require", "verify-full")  # as libpq names them
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
POSTGRESQL_PORT = 5432


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file of SQLite's."""

    path: str

    def __str__(self) -> str:
        """As a log line names it."""
        return self.path


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A database of a PostgreSQL server; `socket` is the folder of its Unix socket, instead of a host."""

    host: str
    port: int
    database: str
    user: str
    password: str | None = field(repr=False)
    socket: str | None
    tls: str

    def __str__(self) -> str:
        """As a log line names it: neither user nor password."""
        return f"postgresql://{self.host or 'localhost'}:{self.port}/{self.database}"


Place = FilePlace | ServerPlace


def parse_place(text: str) -> Place | None:
    """The place that a setting names: a path, a `postgresql://` address, or None for `off`.

    Raises ValueError, whose text tells nothing of the setting: a password may stand in it.
    """
    if text == OFF:
        return None
    if CONTROL.search(text):
        raise ValueError("a control character")
    if _is_address(text):
        return _parse_address(urlsplit(text))
    if not text or "://" in text or text.endswith("/"):
        raise ValueError("neither a path nor an address of PostgreSQL")
    return FilePlace(text)


def _is_address(text: str) -> bool:
    return text.lower().partition(":")[0] in SCHEMES


def _parse_address(parts: SplitResult) -> ServerPlace:
    """RFC 3986, as libpq takes it; of its parameters only `host` (a folder) and `sslmode`."""
    options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    socket, tls = options.pop("host", None), options.pop("sslmode", TLS_WAYS[0])
    database = unquote(parts.path.removeprefix("/"), errors="strict")
    user = unquote(parts.username or "", errors="strict")
    is_named = database and user and not CONTROL.search(database + user + (socket or ""))
    if options or parts.fragment or tls not in TLS_WAYS or not is_named:
        raise ValueError("an address that lacks a part or has one too many")
    if (socket is None) is (not parts.hostname) or not (socket or "/").startswith("/"):
        raise ValueError("either a host or the folder of a socket")
    password = None if parts.password is None else unquote(parts.password, errors="strict")
    return ServerPlace(
        host=parts.hostname or "",
        port=parts.port or POSTGRESQL_PORT,
        database=database,
        user=user,
        password=password,
        socket=socket,
        tls=tls,
    )
