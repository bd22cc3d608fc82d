"""Ask a running gateway for its usage, as an administrator; each failure is a sentence without the key."""

from typing import Any
from urllib.parse import urlsplit

import click
import requests

from app.addresses import LOOPBACK
from app.gateway_client import UNREACHABLE, can_be_key, unreachable
from app.logs import clean
from app.settings import admin_key

ASK_SECONDS = (5.0, 30.0)  # to connect, to answer
NO_ADDRESS = (
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
)


def ask_usage(url: str, wishes: dict[str, str]) -> Any:
    """The report of the gateway at `url`; whether it is one is not looked at. Raises ClickException."""
    key = _key()
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        click.echo(f"{clean(url)} is asked over http: the key passes in clear. Use https.", err=True)
    try:
        response = requests.get(
            f"{url}/admin/usage",
            params=wishes,
            headers={"X-API-Key": key},
            timeout=ASK_SECONDS,
            allow_redirects=False,
        )
        content = response.json()
        if response.ok:
            return content
        reason = clean(content["error"]["message"])
    except requests.JSONDecodeError:
        reason = "it gave no JSON"
    except NO_ADDRESS:
        raise click.ClickException(
            f"--url has to look like https://gateway.example, not {clean(url)}."
        ) from None
    except UNREACHABLE as error:
        raise unreachable(url, error) from None
    except (KeyError, TypeError):
        reason = "it gave no usage"
    raise click.ClickException(f"{url} answered {response.status_code}: {reason}")


def _key() -> str:
    key = admin_key()
    if not key:
        raise click.ClickException("Set VLLM_ADMIN_KEY to an API key of the gateway with scope admin.")
    if not can_be_key(key):
        raise click.ClickException(
            "The key in VLLM_ADMIN_KEY, or else VLLM_API_KEY, holds what no key can be."
        )
    return key
