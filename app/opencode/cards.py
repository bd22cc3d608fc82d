"""Ask a running gateway which models it has, as a client does; wait while it starts."""

import re
import time
from typing import Any

import click
import requests

from app.gateway_client import UNREACHABLE, can_be_key, unreachable
from app.opencode.config import Gateway, Model
from app.routes import MODEL_ID
from app.settings import client_key

ASK_SECONDS = (5.0, 60.0)  # to connect, to answer: a gateway holds requests while its model loads
LONGEST_PAUSE = 59
USUAL_PAUSE = 5
LONGEST_REASON = 500  # characters
SECONDS = re.compile(r"[0-9]{1,9}")
TIMED_OUT = "it does not answer."


def fetch_models(gateway: Gateway, *, iam: bool, wait_seconds: float, context: int | None) -> list[Model]:
    """The models of the gateway, asked for again while it says that it is starting.

    `context` is the window of those whose window the upstream does not tell; without it they are left out.
    Raises ClickException, in one sentence without the key, when there is none.
    """
    cards = _cards(_ask_until_ready(gateway, _credentials(gateway, iam=iam), wait_seconds), gateway)
    windows = {card["id"]: card.get("max_model_len") for card in cards}
    models = []
    for card in cards:
        # vLLM gives an adapter (LoRA) no window of its own: it has that of the model below it.
        window = card.get("max_model_len") or windows.get(str(card.get("parent"))) or context
        if not MODEL_ID.fullmatch(card["id"]):  # OpenCode would read the file that {file:…} in a name says
            tell(f"{gateway.url} has a model whose name is none; it is left out.")
        elif isinstance(window, int):
            models.append(Model(card["id"], window))
        else:
            tell(f"{gateway.url} does not say how large the window of {card['id']} is: --context says it.")
    if not models:
        raise click.ClickException(f"{gateway.url} has no model with a known window.")
    return models


def tell(sentence: str) -> None:
    """To the person, not into the output."""
    click.echo(sentence, err=True)


def _credentials(gateway: Gateway, *, iam: bool) -> dict[str, str]:
    headers = {"X-API-Key": _secret(gateway.key_variable, f"an API key of {gateway.url}")}
    if iam:
        token = _secret(gateway.token_variable, "an ID token: gcloud auth print-identity-token")
        headers["X-Serverless-Authorization"] = f"Bearer {token}"
    return headers


def _secret(variable: str, meaning: str) -> str:
    value = client_key(variable)
    if not can_be_key(value):
        wrong = "holds what no key can be; set it" if value else "is not set; set it"
        raise click.ClickException(f"{variable} {wrong} to {meaning}.")
    return value


def _ask_until_ready(gateway: Gateway, headers: dict[str, str], wait_seconds: float) -> requests.Response:
    until = time.monotonic() + wait_seconds
    while True:
        response = _ask(gateway.url, headers)
        if response is not None and (response.status_code != 503 or "Retry-After" not in response.headers):
            return response
        reason, pause = (TIMED_OUT, 0) if response is None else (_reason(response), _pause(response))
        if time.monotonic() + pause >= until:
            raise click.ClickException(
                f"{gateway.url} is not ready: {reason} Its model may still be loading; --wait waits longer."
            )
        tell(f"{gateway.url}: {reason} Asking again in {pause} s.")
        time.sleep(pause)


def _ask(url: str, headers: dict[str, str]) -> requests.Response | None:
    """The answer; None when it did not come in time."""
    try:
        return requests.get(f"{url}/v1/models", headers=headers, timeout=ASK_SECONDS, allow_redirects=False)
    except requests.ReadTimeout:
        return None
    except UNREACHABLE as error:
        raise unreachable(url, error) from None


def _pause(response: requests.Response) -> int:
    told = response.headers["Retry-After"]
    return min(LONGEST_PAUSE, max(1, int(told))) if SECONDS.fullmatch(told) else USUAL_PAUSE


def _cards(response: requests.Response, gateway: Gateway) -> list[dict[str, Any]]:
    if response.ok:
        try:
            return [card for card in response.json()["data"] if isinstance(card["id"], str)]
        except requests.JSONDecodeError:
            reason = "it gave no JSON"
        except (KeyError, TypeError):
            reason = "it gave no list of models"
    else:
        reason = _reason(response)
    hint = {401: f" The key is read from {gateway.key_variable}."}.get(response.status_code, "")
    raise click.ClickException(f"{gateway.url} answered {response.status_code}: {reason}{hint}")


def _reason(response: requests.Response) -> str:
    try:
        message = str(response.json()["error"]["message"])
        return "".join(filter(str.isprintable, message))[:LONGEST_REASON]
    except requests.JSONDecodeError:
        is_google = response.status_code in (401, 403)
        return "it gave no JSON." + (" Cloud Run's own access control wants --iam." if is_google else "")
    except (KeyError, TypeError):
        return "it gave no reason."
