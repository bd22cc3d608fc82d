"""What Google's client meets, in our words."""

import pytest
import requests
from google.api_core.exceptions import RetryError, ServiceUnavailable
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

from app.keys.errors import KeyFileError, KeyStoreError, StoreRefused, StoreUnavailable
from app.keys.secret_client import in_our_words, is_transient


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (DefaultCredentialsError("none"), StoreRefused, "no Google credentials"),
        (RefreshError("reauthentication is needed", retryable=False), StoreRefused, "credentials"),
        (RefreshError("try again", retryable=True), StoreUnavailable, "cannot be reached"),
        (TransportError("no route"), StoreUnavailable, "cannot be reached"),
        (requests.ConnectionError("refused"), StoreUnavailable, "cannot be reached"),
        (requests.ReadTimeout("late"), StoreUnavailable, "did not answer in time"),
        (requests.JSONDecodeError("x", "", 0), StoreUnavailable, "Secret Manager"),
        (ServiceUnavailable("secret text"), StoreUnavailable, "answered 503"),
        (RetryError("late", ServiceUnavailable("x")), StoreUnavailable, "answered 503"),
        (RetryError("late", StoreUnavailable("damaged")), StoreUnavailable, "damaged"),
        (IndexError("list index"), StoreUnavailable, "cannot be read"),
    ],
)
def test_each_error_has_a_kind_and_a_text_of_ours(
    error: Exception, kind: type[KeyStoreError], text: str
) -> None:
    with pytest.raises(kind, match=text) as caught, in_our_words():
        raise error

    assert "secret text" not in str(caught.value)
    assert is_transient(error) == (kind is StoreUnavailable) or isinstance(error, RetryError)


def test_what_is_ours_already_passes_as_it_is() -> None:
    with pytest.raises(KeyFileError, match="^mine$"), in_our_words():
        raise KeyFileError("mine")
