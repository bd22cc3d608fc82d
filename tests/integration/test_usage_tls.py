"""A database server that takes connections over TLS alone, as a hosted one does."""

from collections.abc import Iterator

import pytest
import trustme

from app.accounts.database import open_database
from app.accounts.errors import AccountsUnavailable
from app.accounts.place import parse_place
from tests.postgresql_server import PostgresqlServer
from tests.usage_keeping import Start, ask, end
from tests.usage_traffic import settled_usage

AUTHORITY = trustme.CA()
BY_SYSTEM = "SSL_CERT_FILE"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with PostgresqlServer(AUTHORITY.issue_cert("localhost")) as running:
        yield running


@pytest.fixture
def trusted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with the authority's certificate."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return str(path)


def by_name(server: PostgresqlServer, sslmode: str) -> str:
    """Its address by the name that its certificate has."""
    return server.url(sslmode=sslmode).replace("127.0.0.1", "localhost")


def is_encrypted(address: str) -> bool:
    """What the server says of the connection."""
    question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    return bool(open_database(parse_place(address)).write(lambda session: session.run(question))[0][0])


def test_an_instance_keeps_its_usage_over_tls(
    start_keeping: Start, server: PostgresqlServer, trusted: str
) -> None:
    gateway = start_keeping(USAGE_DATABASE=by_name(server, "verify-full"), SSL_CERT_FILE=trusted)
    ask(gateway)
    settled_usage(gateway, 5)
    ask(gateway)
    end(gateway)

    assert server.query("SELECT SUM(requests) FROM gateway_usage") == "10"


@pytest.mark.parametrize("sslmode", ["prefer", "require"])
def test_tls_without_a_look_at_the_certificate(server: PostgresqlServer, sslmode: str) -> None:
    assert is_encrypted(server.url(sslmode=sslmode))


def test_verify_full_takes_a_certificate_of_an_authority_that_is_trusted(
    server: PostgresqlServer, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BY_SYSTEM, trusted)

    assert is_encrypted(by_name(server, "verify-full"))


def test_verify_full_refuses_a_certificate_that_nobody_vouches_for(server: PostgresqlServer) -> None:
    with pytest.raises(AccountsUnavailable, match="certificate verify failed"):
        is_encrypted(by_name(server, "verify-full"))


def test_verify_full_refuses_the_certificate_of_another_name(
    server: PostgresqlServer, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BY_SYSTEM, trusted)

    with pytest.raises(AccountsUnavailable, match="certificate is not valid for '127.0.0.1'"):
        is_encrypted(server.url(sslmode="verify-full"))


def test_without_tls_such_a_server_says_why_not(server: PostgresqlServer) -> None:
    with pytest.raises(AccountsUnavailable, match="no encryption"):
        is_encrypted(server.url(sslmode="disable"))
