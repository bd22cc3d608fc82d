"""Commands for people: `flask --app wsgi opencode-config …`."""

import json
from pathlib import Path
from typing import Any

import click
import requests

from app.opencode import FULL_WINDOW, SMALLEST_WINDOW, WindowTooSmall, opencode_config
from app.settings import client_key

ASK_SECONDS = (5.0, 60.0)  # to connect, to answer: a gateway holds requests while its model loads


@click.command("opencode-config")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where the gateway is.")
@click.option("--model", help="Which of its models; needed when it has several.")
@click.option("--output", type=click.Path(path_type=Path), default="opencode.json", show_default=True)
@click.option("--temperature", type=click.FloatRange(0, 2))
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def write_opencode_config(
    url: str, model: str | None, output: Path, temperature: float | None, top_p: float | None, *, force: bool
) -> None:
    """Write an opencode.json for a running gateway, with the limits of its model.

    Reads the API key from VLLM_API_KEY; OpenCode reads it from there as well, so the file holds none.
    """
    if output.exists() and not force:
        raise click.ClickException(f"{output} exists; --force writes over it, --output names another.")
    url = url.rstrip("/").removesuffix("/v1")
    card = _choose(_fetch_models(url), model)
    given = {"temperature": temperature, "top_p": top_p}
    sampling = {name: value for name, value in given.items() if value is not None}
    try:
        content = opencode_config(url, card["id"], card["max_model_len"], **sampling)
    except WindowTooSmall:
        raise click.ClickException(
            f"{card['id']} has a window of {card['max_model_len']} tokens, too small for OpenCode: "
            f"set MAX_MODEL_LEN to {SMALLEST_WINDOW} or more, better {FULL_WINDOW}."
        ) from None
    try:
        output.write_text(json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from None
    click.echo(f"Wrote {output} for {card['id']}, {card['max_model_len']} tokens. Start OpenCode beside it.")
    if card["max_model_len"] < FULL_WINDOW:
        click.echo("The window is small: some of OpenCode's tools are switched off to make room.")


def _fetch_models(url: str) -> list[dict[str, Any]]:
    key = client_key()
    if not key:
        raise click.ClickException("Set VLLM_API_KEY to an API key of the gateway.")
    try:
        response = requests.get(
            f"{url}/v1/models", headers={"X-API-Key": key}, timeout=ASK_SECONDS, allow_redirects=False
        )
        content = response.json()
        if response.ok:
            return [card for card in content["data"] if isinstance(card["id"], str)]
        reason = content["error"]["message"]
    except requests.JSONDecodeError:
        reason = "it gave no JSON"
    except requests.ReadTimeout:
        raise click.ClickException(f"{url} does not answer; its model may still be loading.") from None
    except requests.RequestException as error:
        raise click.ClickException(f"No gateway can be reached at {url} ({type(error).__name__}).") from None
    except (KeyError, TypeError):
        reason = "it gave no list of models"
    raise click.ClickException(f"{url} answered {response.status_code}: {reason}")


def _choose(cards: list[dict[str, Any]], model: str | None) -> dict[str, Any]:
    names = ", ".join(card["id"] for card in cards)
    fitting = [card for card in cards if model in (None, card["id"])]
    if len(fitting) != 1:
        raise click.ClickException(f"Name one of its models with --model: {names or 'it has none'}.")
    if not isinstance(fitting[0].get("max_model_len"), int):
        raise click.ClickException(
            f"The upstream does not say how large the window of {fitting[0]['id']} is."
        )
    return fitting[0]
