"""The options of the commands that write OpenCode's configuration, and what they make of them."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import click

from app.addresses import LOOPBACK
from app.opencode.cards import fetch_models, tell
from app.opencode.choice import choose_models, find_model, fit
from app.opencode.config import (
    FORBIDDEN_PROVIDERS,
    KEY_VARIABLE,
    MOST_OUTPUT,
    PROVIDER,
    SMALLEST,
    TOKEN_VARIABLE,
    Gateway,
    Wishes,
    opencode_config,
)

NAMED = re.compile(r"([a-z0-9][a-z0-9-]{0,62})=(.*)", re.ASCII)
TEMPERATURE = click.FloatRange(0, 2)


def read_gateways(
    _context: click.Context, _parameter: click.Parameter, given: Sequence[str]
) -> list[Gateway]:
    """`URL` or `NAME=URL` for each; without a name the second one is `vllm-gateway-2`, and so on."""
    gateways = [_gateway(text, number) for number, text in enumerate(given, 1)]
    for names in ([each.provider for each in gateways], [each.key_variable for each in gateways]):
        if len(set(names)) != len(names):
            raise click.BadParameter(f"two gateways would both have {max(names, key=names.count)}.")
    return gateways


def _gateway(text: str, number: int) -> Gateway:
    named = NAMED.fullmatch(text)
    name, url = (named[1], named[2]) if named else ("", text)
    if name.startswith(FORBIDDEN_PROVIDERS):
        raise click.BadParameter(f"OpenCode has its own rules for names that begin as {name} does.")
    mark = name or ("" if number == 1 else str(number))
    suffix = f"_{mark.upper().replace('-', '_')}" if mark else ""
    return Gateway(
        _base_url(url),
        provider=name or f"{PROVIDER}{suffix.replace('_', '-')}",
        key_variable=KEY_VARIABLE + suffix,
        token_variable=TOKEN_VARIABLE + suffix,
    )


def _base_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is no number
    except ValueError:
        raise click.BadParameter("that is no address.") from None
    is_plain = "@" not in parts.netloc and not parts.query and not parts.fragment and text.isprintable()
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain or "{" in text:
        raise click.BadParameter(
            "it has to look like https://gateway.example or name=https://gateway.example."
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        tell(f"{parts.hostname} is asked over http: the key and all code pass in clear. Use https.")
    return text.rstrip("/").removesuffix("/v1").rstrip("/")


def read_temperatures(
    _context: click.Context, parameter: click.Parameter, given: Sequence[str]
) -> dict[str, float]:
    """`AGENT=TEMPERATURE` for each."""
    pairs = [_pair(text) for text in given]
    return {agent: TEMPERATURE(value, parameter) for agent, value in pairs}


def read_fields(_context: click.Context, _parameter: click.Parameter, given: Sequence[str]) -> dict[str, Any]:
    """`NAME=JSON` for each; what is no JSON is a text."""
    return {name: _json_or_text(value) for name, value in map(_pair, given)}


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator and value):
        raise click.BadParameter(f"it has to look like NAME=VALUE, and {text} does not.")
    return name, value


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


OPTIONS = (
    click.option("--url", "gateways", multiple=True, default=["http://127.0.0.1:8080"], show_default=True,
                 callback=read_gateways, metavar="[NAME=]URL",
                 help="Where a gateway is, and how OpenCode shall call it. Can be given several times."),
    click.option("--model", "models", multiple=True, metavar="ID",
                 help="Only this model, the first one as the default; several times. Without it, all."),
    click.option("--small-model", metavar="ID", help="For titles; without it, the default model."),
    click.option("--variant", type=click.Choice(["auto", *SMALLEST]), default="auto", show_default=True,
                 help="OpenCode's own prompt and tools, or fewer; auto decides by the window."),
    click.option("--temperature", type=TEMPERATURE, help="Of every request."),
    click.option("--top-p", type=click.FloatRange(0, 1, min_open=True)),
    click.option("--option", "fields", multiple=True, callback=read_fields, metavar="NAME=VALUE",
                 help="Another field of every request, such as top_k=20; several times."),
    click.option("--agent-temperature", "temperatures", multiple=True, callback=read_temperatures,
                 metavar="AGENT=T", help="Of one agent only, such as build=0.2; several times."),
    click.option("--reasoning", multiple=True, metavar="ID", help="A model that thinks; several times."),
    click.option("--output-tokens", type=click.IntRange(1, MOST_OUTPUT), default=MOST_OUTPUT,
                 help="The most that one answer may have, where the gateway has a MAX_OUTPUT_TOKENS."),
    click.option("--cost", type=(click.FloatRange(0), click.FloatRange(0)), metavar="IN OUT",
                 help="Dollars for a million tokens, for OpenCode to add up."),
    click.option("--context", type=click.IntRange(1), help="The window, where the upstream tells none."),
    click.option("--iam", is_flag=True,
                 help="Send the ID token of GATEWAY_IDENTITY_TOKEN, for Cloud Run's own access control."),
    click.option("--wait", type=click.FloatRange(0), default=300, show_default=True,
                 help="Seconds to wait for a gateway whose model is loading."),
)  # fmt: skip


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options above."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def read_config(given: dict[str, Any]) -> dict[str, Any]:
    """The opencode.json that the options ask for, after asking each gateway.

    Raises ClickException where a gateway cannot be asked, or nothing fits into a window.
    """
    if given["temperatures"] and (given["temperature"] is not None or "temperature" in given["fields"]):
        raise click.UsageError("In OpenCode --temperature wins over that of an agent: give one of the two.")
    asked = [
        replace(gateway, models=fetch_models(gateway, iam=given["iam"], wait_seconds=given["wait"],
                                             context=given["context"]))
        for gateway in given["gateways"]
    ]  # fmt: skip
    chosen = choose_models(asked, given["models"])
    fitting, variant = fit(chosen, given["variant"], must_fit=given["models"])
    sampling = {"temperature": given["temperature"], "top_p": given["top_p"]}
    wishes = Wishes(
        variant=variant,
        options={**{n: v for n, v in sampling.items() if v is not None}, **given["fields"]},
        temperatures=given["temperatures"],
        reasoning=frozenset(given["reasoning"]),
        cost=given["cost"],
        output_tokens=given["output_tokens"],
        small_model=find_model(fitting, given["small_model"]) if given["small_model"] else "",
        iam=given["iam"],
    )
    return opencode_config(fitting, wishes)
