"""Google's own client of Secret Manager, led to a stand-in on this machine."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceRestTransport,
)

from tests.fake_secret_manager import FakeSecretManagerThread

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


def secret_settings(running: FakeSecretManagerThread) -> dict[str, str]:
    """The settings of a gateway, or of a command, that has its keys from the stand-in."""
    return {
        "GCP_PROJECT": "my-project",
        "API_KEYS_SECRET_NAME": "keys",
        "SECRET_MANAGER_ENDPOINT": running.url,
    }


def put_keys(running: FakeSecretManagerThread, content: Any) -> int:
    """Add a version of the key file; anything but bytes goes as JSON."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return running.fake.put("my-project", "keys", data)


def reads(running: FakeSecretManagerThread) -> int:
    """How often a version's payload was asked for."""
    return sum(":access" in path for _, path in running.fake.requests)


UNUSABLE = [b" ", b"{", b"[]", b"{}", b'"sk-x"', b"\xff\xfe", b'{"tester": ""}', b'{"tester": "changeme"}',
            b'{"a": "k1", "a": "k2"}', b'{"a": "sk-same-key", "b": "sk-same-key"}',
            b'{"good": "sk-good-0123456789ab", "bad": {"key": 7}}',
            b'{"good": "sk-good-0123456789ab", "bad": {"key": "sk-bad", "expires": "soon"}}']  # fmt: skip
