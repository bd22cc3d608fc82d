"""The two commands: `flask --app wsgi opencode-config …` and `flask --app wsgi opencode-wellknown …`."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from app.opencode.cards import tell
from app.opencode.config import KEY_VARIABLE
from app.opencode.options import config_options, read_config
from app.opencode.wellknown import as_text, site

STDOUT = Path("-")
HOSTING = """\
Put the folder on a host for static files that is always up, over https, with nothing asked at its door:
OpenCode fetches the file at every start, and does not start where it cannot. So never on a gateway that
scales to zero. `.well-known/opencode` has no ending: see that it is sent as application/json.
Then, with https://their.site for that host:

  opencode auth login https://their.site            # Linux, macOS
  opencode auth login https://their.site/windows    # Windows

It runs the command in the file on the user's machine, which asks for the key, and keeps the key in
OpenCode's auth.json. The site itself holds no key."""


@click.command("opencode-config")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default="opencode.json",
    show_default=True,
    help="Where to write it; - is the standard output.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@config_options
def write_opencode_config(output: Path, *, force: bool, **given: Any) -> None:  # fmt: skip
    """Write an opencode.json for running gateways, with the limits of their models.

    Reads the API key from VLLM_API_KEY, or VLLM_API_KEY_NAME where the gateway has a name; OpenCode reads it
    from there as well, so the file holds none.
    """
    _check_free([] if output == STDOUT else [output], force=force)
    config = read_config(given)
    if output == STDOUT:
        sys.stdout.write(as_text(config))
    else:
        _write({output: as_text(config)})
    tell(f"{_destination(output)} for {_models(config)}. Start OpenCode beside it.")
    tell(f"It reads the key from {', '.join(each.key_variable for each in given['gateways'])}.")


@click.command("opencode-wellknown")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default="site",
    show_default=True,
    help="The folder to write.",
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
@config_options
def write_wellknown(output: Path, *, force: bool, **given: Any) -> None:  # fmt: skip
    """Write the static files behind `opencode auth login https://their.site`.

    Reads an API key from VLLM_API_KEY to ask the gateways for their models; the files hold none. A login
    stores one key, so it has to be valid at each of the gateways.
    """
    paths = [output / path for path in site({})]
    _check_free(paths, force=force)
    given["gateways"] = [replace(each, key_variable=KEY_VARIABLE) for each in given["gateways"]]
    config = read_config(given)
    _write({output / path: text for path, text in site(config).items()})
    tell(f"Wrote {output} for {_models(config)}.")
    tell(HOSTING)


def _check_free(paths: Sequence[Path], *, force: bool) -> None:
    for path in paths:
        if os.path.exists(path) and not force:  # Path.exists raises where it may not look
            raise click.ClickException(f"{path} exists; --force writes over it, --output names another.")


def _write(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError as error:
            raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from None


def _destination(output: Path) -> str:
    return "Wrote it" if output == STDOUT else f"Wrote {output}"


def _models(config: Mapping[str, Any]) -> str:
    named = (
        f"{provider}/{name} ({model['limit']['context']} tokens)"
        for provider, entry in config["provider"].items()
        for name, model in entry["models"].items()
    )
    return ", ".join(named)
