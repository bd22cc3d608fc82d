"""Google's own client of Secret Manager, led to a stand-in on this machine."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceRestTransport,
)

PROJECT, SECRET = "projects/p", "projects/p/secrets/s"
LATEST = f"{SECRET}/versions/latest"


@contextmanager
def open_client(port: int) -> Iterator[SecretManagerServiceClient]:
    """A client without credentials, over REST and plain HTTP."""
    transport = SecretManagerServiceRestTransport(
        host=f"127.0.0.1:{port}", credentials=AnonymousCredentials(), url_scheme="http"
    )
    with closing(transport):
        yield SecretManagerServiceClient(transport=transport)


def access(client: SecretManagerServiceClient, name: str = LATEST, timeout: float = 5.0) -> Any:
    """One try to read a version."""
    return client.access_secret_version(name=name, retry=None, timeout=timeout)


@contextmanager
def refused(kind: type[Exception], status: str) -> Iterator[None]:
    """Expect the client's exception for an error, and Google's name of the error in the answer."""
    with pytest.raises(kind) as raised:
        yield
    assert raised.value.response.json()["error"]["status"] == status  # type: ignore[attr-defined]
