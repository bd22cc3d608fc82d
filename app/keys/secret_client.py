"""Google's official client for Secret Manager over REST, and its errors in our words.

Its gRPC transport would stop the whole event loop for each call; REST waits as `requests` does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceRestTransport,
)
from google.protobuf.json_format import ParseError

from app.keys.errors import KeyStoreError, StoreRefused, StoreUnavailable

# The last ones are how the client meets an answer that is not of Google's shape, from a proxy say.
UNREADABLE = (ParseError, AttributeError, LookupError, TypeError, ValueError)
CLIENT_ERRORS = (GoogleAPICallError, GoogleAuthError, requests.RequestException, *UNREADABLE)
GOOGLE = "https://secretmanager.googleapis.com"
REFUSALS = {
    "NOT_FOUND": "the secret, or that version of it, does not exist",
    "ALREADY_EXISTS": "the secret exists already",
    "PERMISSION_DENIED": "this account has no right to do that with the secret",
    "UNAUTHENTICATED": "Google does not accept this account's credentials",
    "INVALID_ARGUMENT": "Secret Manager does not take the request",
}
OTHERS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[KeyStoreError], str], ...] = (
    (DefaultCredentialsError, StoreRefused, "this machine has no Google credentials"),
    (requests.Timeout, StoreUnavailable, "Secret Manager did not answer in time"),
    ((requests.RequestException, GoogleAuthError), StoreUnavailable, "Secret Manager cannot be reached"),
    (Exception, StoreUnavailable, "Secret Manager gave an answer that cannot be read"),
)
STATUS_OF = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}


class PreconditionFailed(StoreRefused):
    """The version is switched off, or the secret is no longer the one that was read."""


def make_client(endpoint: str | None) -> SecretManagerServiceClient:
    """A client of that endpoint; by `http://`, which is for this machine only, no credentials are sent.

    Raises StoreRefused where Google credentials are needed and there are none.
    """
    parts = urlsplit(endpoint or GOOGLE)
    is_plain = parts.scheme == "http"
    with in_our_words():
        transport = SecretManagerServiceRestTransport(
            host=parts.netloc,
            url_scheme=parts.scheme,
            credentials=AnonymousCredentials() if is_plain else None,  # type: ignore[no-untyped-call]
        )
        return SecretManagerServiceClient(transport=transport)


@contextmanager
def in_our_words() -> Iterator[None]:
    """Raise the client's errors as StoreRefused or StoreUnavailable; no text holds a part of an answer."""
    try:
        yield
    except (*CLIENT_ERRORS, RetryError) as error:
        cause = error.cause if isinstance(error, RetryError) else error
        raise (cause if isinstance(cause, KeyStoreError) else _translate(cause)) from None


def _translate(error: Exception | None) -> KeyStoreError:
    if isinstance(error, GoogleAPICallError):
        return _of_answer(error)
    if isinstance(error, RefreshError) and not error.retryable:
        return StoreRefused(REFUSALS["UNAUTHENTICATED"])
    return next(kind(text) for found, kind, text in OTHERS if isinstance(error, found))


def _of_answer(error: GoogleAPICallError) -> KeyStoreError:
    status = _status(error)
    if status in ("FAILED_PRECONDITION", "ABORTED"):
        return PreconditionFailed("the version is disabled or destroyed, or a policy forbids it")
    if status in REFUSALS:
        return StoreRefused(REFUSALS[status])
    return StoreUnavailable(f"Secret Manager answered {error.code}")


def _status(error: GoogleAPICallError) -> str | None:
    """The canonical name of the error: its HTTP status alone does not tell one 400 from the other."""
    try:
        return str(error.response.json()["error"]["status"])
    except (AttributeError, ValueError, KeyError, TypeError):
        return STATUS_OF.get(error.code or 0)


def is_transient(error: Exception) -> bool:
    """Whether the same call may well succeed a moment later."""
    known = _translate(error) if isinstance(error, CLIENT_ERRORS) else error
    return isinstance(known, StoreUnavailable)


# The client's own would wait for up to a minute.
READ_RETRY = Retry(is_transient, initial=0.2, maximum=1.0, multiplier=2.0, timeout=3.0)
