"""What may stand where usage should be kept: half a write, or a server of another kind."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.accounts.database import open_database
from app.accounts.errors import AccountsUnavailable
from app.accounts.place import FilePlace, parse_place
from app.accounts.sqlite import SqliteDatabase
from tests.odd_server import OddServer

# A writer that is killed when a part of its transaction is in the file already.
HALF_A_WRITE = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN IMMEDIATE")
database.execute("DELETE FROM gateway_schema")
database.execute("CREATE TABLE filler (content)")
database.executemany("INSERT INTO filler VALUES (zeroblob(?))", [(4000,)] * 200)
os.kill(os.getpid(), signal.SIGKILL)
"""
OTHERS = {
    "MySQL's greeting": (b"J\0\0\0\x0a8.0.36\0" + bytes(60),),
    "a short message": (b"N", b"R\0\0\0\x04"),
    "a negative length": (b"N", b"R\xff\xff\xff\xf0" + bytes(20)),
    "an unknown way to log in": (b"N", b"R\0\0\0\x0d\0\0\0\x0aFOO\0\0"),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
}


def test_a_write_that_was_killed_half_way_keeps_nobody_from_reading(tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    database = SqliteDatabase(FilePlace(str(path)))
    database.write(lambda _: None)

    killed = subprocess.run([sys.executable, "-c", HALF_A_WRITE, path], check=False)

    assert killed.returncode == -signal.SIGKILL
    assert Path(f"{path}-journal").stat().st_size > 0
    assert len(database.read(lambda session: session.run("SELECT version FROM gateway_schema"))) == 1


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(AccountsUnavailable):
        SqliteDatabase(FilePlace(str(tmp_path / "usage.db"))).read(lambda _: None)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answers", OTHERS.values(), ids=OTHERS.keys())
def test_a_server_of_another_kind_is_a_failure_like_any_other(answers: tuple[bytes, ...]) -> None:
    def behave(sock: socket.socket) -> None:
        for answer in answers:
            sock.recv(65536)
            sock.sendall(answer)

    with OddServer(behave) as odd:
        database = open_database(parse_place(f"postgresql://ann@127.0.0.1:{odd.port}/usage"))
        assert database is not None
        with pytest.raises(AccountsUnavailable, match="PostgreSQL"):
            database.write(lambda _: None)
