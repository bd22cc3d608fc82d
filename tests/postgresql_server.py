"""A real PostgreSQL server of the test's own, on a free port of this machine."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trustme import LeafCert

from tests.gateway import wait_until
from tests.local import free_port

USER, PASSWORD = "gateway", "made-up-p@ss/word"
DEBIANS = Path("/usr/lib/postgresql")  # where its packages keep what is not on the PATH
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root


class PostgresqlServer:
    """One cluster in a folder of its own; it takes a password over TCP, with TLS alone where it has a
    certificate, and trusts nobody.
    """

    def __init__(self, certificate: LeafCert | None = None) -> None:
        self._certificate = certificate
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._data = self._folder / "data"
        self._as_user: dict[str, int] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._as_user = {"user": user.pw_uid, "group": user.pw_gid}

    def __enter__(self) -> "PostgresqlServer":
        password_file = self._folder / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        auth = ("--auth=scram-sha-256", f"--pwfile={password_file}")
        self._run("initdb", "-D", self._data, "-U", USER, *auth, "--no-sync", "-E", "UTF8", "--locale=C")
        if self._certificate:
            self._insist_on_tls(self._certificate)
        self.port = free_port()
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, **options: str) -> str:
        """What USAGE_DATABASE takes; `socket` for the way over the Unix socket."""
        given = "&".join(f"{name}={value}" for name, value in options.items())
        host = f"{'' if 'host' in options else '127.0.0.1'}:{self.port}"
        return f"postgresql://{USER}:made-up-p%40ss%2Fword@{host}/postgres?{given}".rstrip("?")

    @property
    def socket_folder(self) -> str:
        """Where its Unix socket is."""
        return str(self._folder)

    def start(self) -> None:
        """Start it again after `stop`."""
        options = ("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", str(self._folder))
        command = [program("postgres"), "-D", str(self._data), "-p", str(self.port), *options]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._as_user,  # type: ignore[call-overload]
            )
        wait_until(self._accepts, 20)

    def stop(self) -> None:
        """End it at once, with every connection."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(20)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes connections, and says nothing on them."""
        self._process.send_signal(signal.SIGSTOP)
        yield
        self._process.send_signal(signal.SIGCONT)

    def query(self, statement: str) -> str:
        """What psql prints for a statement."""
        environ = {"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD}
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", "postgres")
        command = [program("psql"), "-qAtX", *where, "-c", statement]
        return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.strip()

    def _insist_on_tls(self, certificate: LeafCert) -> None:
        written = {"server.crt": certificate.cert_chain_pems[0], "server.key": certificate.private_key_pem}
        for name, pem in written.items():
            path = self._data / name
            pem.write_to_path(str(path))
            path.chmod(0o600)
            os.chown(path, self._data.stat().st_uid, -1)
        (self._data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write("ssl = on\n")

    def _accepts(self) -> bool:
        assert self._process.poll() is None, (self._folder / "server.log").read_text()
        where = ("-h", "127.0.0.1", "-p", str(self.port))
        return not subprocess.run([program("pg_isready"), "-q", *where], check=False).returncode

    def _run(self, name: str, *arguments: object) -> None:
        command = [program(name), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder, **self._as_user)  # type: ignore[call-overload]


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs, of the newest version that is there."""
    for folder in sorted(DEBIANS.glob("*/bin"), key=lambda each: float(each.parent.name), reverse=True):
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    assert found, f"{name} is not installed: apt-get install postgresql"
    return found
