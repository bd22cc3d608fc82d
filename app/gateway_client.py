"""What the commands share that ask a running gateway: which texts can be a key, and who cannot be reached."""

import click
import requests
from urllib3.exceptions import LocationParseError

# The latter comes as it is for a host such as "a..b": requests only expects it before the connection.
UNREACHABLE = (requests.RequestException, LocationParseError)


def can_be_key(text: str) -> bool:
    """Whether a header can carry it, and it is anything at all."""
    return bool(text) and text.isascii() and text.isprintable()


def unreachable(url: str, error: BaseException) -> click.ClickException:
    """What a person is told; `error` is one of `UNREACHABLE`."""
    return click.ClickException(f"No gateway can be reached at {url} ({type(error).__name__}).")
