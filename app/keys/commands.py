"""Commands for people: `flask --app wsgi keys …`, the same for a local file and for Secret Manager.

A new key is all that goes to stdout; what a person should know goes to stderr.
"""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import update_wrapper
from typing import Any

import click
from click.core import ParameterSource

from app.keys import changes
from app.keys.arguments import Duration, Moment, moment_after
from app.keys.changes import ChangeRefused, KeyChange, judge
from app.keys.errors import KeyStoreError
from app.keys.file_store import FileStore
from app.keys.key_file import decode_key_file
from app.keys.key_store import WritableStore
from app.keys.listing import as_table, describe_entries
from app.keys.new_key import make_key
from app.keys.stores import open_secret
from app.settings import process_settings

Command = Callable[..., None]
NAME = click.option("--name", required=True, help="Who the key is for, such as opencode-integration.")
ID = click.option("--id", "key_id", help="Only the key of this id.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")
OVERLAP = "24h"
NEXT = """
The gateway reads the keys again by itself (API_KEYS_REFRESH_SECONDS). In an instance of it, at once:

  curl -X POST -H "X-API-Key: $API_KEY" "$GATEWAY/admin/reload-keys{query}"
"""


@click.group()
def keys() -> None:
    """Make, list, rotate and remove API keys.

    Where they are: --file, or --project and --secret; else API_KEYS_FILE, or GCP_PROJECT and
    API_KEYS_SECRET_NAME, as for the gateway.
    """


def on_store(command: Command) -> Command:
    """Give a command the options that name a store, and the store; tell its errors in one sentence."""

    @click.option("--file", type=click.Path(), envvar="API_KEYS_FILE", help="A local key file.")
    @click.option("--project", envvar="GCP_PROJECT", help="The Google Cloud project of the secret.")
    @click.option("--secret", envvar="API_KEYS_SECRET_NAME", default="vllm-api-keys", show_default=True)
    @click.pass_context
    def run(context: click.Context, /, **options: Any) -> None:
        place = {name: options.pop(name) for name in ("file", "project", "secret")}
        try:
            command(_open(context, **place), **options)
        except (KeyStoreError, ChangeRefused) as error:
            text = str(error)
            raise click.ClickException(f"{text[:1].upper()}{text[1:]}.") from None

    return update_wrapper(run, command)


def _open(context: click.Context, file: str | None, project: str | None, secret: str) -> WritableStore:
    """What was typed wins over what is set, and of two that are set the file, as in the gateway."""
    sources = {name: context.get_parameter_source(name) for name in ("file", "project", "secret")}
    typed = {name for name, source in sources.items() if source is ParameterSource.COMMANDLINE}
    if "file" in typed and not file:
        raise click.UsageError("--file is empty.")
    if "file" in typed and len(typed) > 1:
        raise click.UsageError("Name a file or a secret, not both.")
    if file and typed <= {"file"}:
        return FileStore(file)
    if project:
        return open_secret(project, secret, process_settings().secret_manager_endpoint)
    raise click.UsageError("Name the place of the keys: --file, or --project.")


@keys.command("create-secret")
@on_store
def create_secret(store: WritableStore) -> None:
    """Make the secret, or the file, without any key in it."""
    store.create()
    click.echo("Made. Give it a first key: flask --app wsgi keys add --name NAME", err=True)
    if store.has_versions:
        click.echo("The gateway's service account needs roles/secretmanager.secretAccessor on it.", err=True)


@keys.command("add")
@NAME
@click.option("--id", "key_id", help="How logs and lists call it; by default part of the key.")
@click.option("--scope", "scopes", type=click.Choice(["inference", "admin"]), multiple=True,
              help="May be given several times; by default inference.")  # fmt: skip
@click.option("--expires", type=Moment(), help="A time, or how long from now: 90d.")
@click.option("--not-before", type=Moment(), help="The same, for its first moment.")
@click.option("--note", help="For people.")
@click.option("--another", is_flag=True, help="The name may have keys already, which stay.")
@click.option("--plain", is_flag=True, help="Keep the key itself, for other programs that read it there.")
@click.option(
    "--from-stdin", is_flag=True, help="Take the key from the standard input instead of making one."
)
@on_store
def add(
    store: WritableStore,
    name: str,
    key_id: str | None,
    *,
    another: bool,
    plain: bool,
    from_stdin: bool,
    **fields: Any,
) -> None:
    """Make a key and print it; only its digest is kept."""
    key, new_id = make_key()
    if from_stdin:
        key, new_id = _read_stdin(name), ""
    fields["scopes"] = list(fields["scopes"]) or None
    entry = changes.new_entry(key, key_id or new_id, is_plain=plain, **fields)

    def change(entries: dict[str, Any]) -> str:
        changes.add(entries, name, entry, another=another)
        return key

    version = _update(store, change)
    if not from_stdin:
        click.echo(key)
    _say_next(version, "" if plain or from_stdin else "The key is shown this once: only its digest is kept.")


def _read_stdin(name: str) -> str:
    key = sys.stdin.readline().strip()
    changes.check_entry(name, key)
    return key


@keys.command("list")
@AS_JSON
@on_store
def list_keys(store: WritableStore, *, as_json: bool) -> None:
    """Show all keys by name, id, state and expiry."""
    content = store.read()
    entries = decode_key_file(content.data)
    rows = describe_entries(entries)
    judged = judge(content.data)
    if as_json:
        found = {"store": store.kind, "version": content.version, "keys": rows}
        told = {"problems": judged.problems, "warnings": judged.warnings}
        click.echo(json.dumps({**found, **told}, indent=2))
        return
    click.echo(as_table(rows))
    for sentence in [*judged.problems, *judged.warnings]:
        click.echo(f"! {sentence}", err=True)
    if content.version is not None:
        click.echo(f"Version {content.version} of the secret.", err=True)


@keys.command("show")
@NAME
@on_store
def show(store: WritableStore, name: str) -> None:
    """Show all that is known of a name's keys."""
    entries = decode_key_file(store.read().data)
    if name not in entries:
        raise ChangeRefused(f"there is no key of {name!r}")
    click.echo(json.dumps(describe_entries({name: entries[name]}), indent=2))


@keys.command("rotate")
@NAME
@ID
@click.option(
    "--overlap",
    type=Duration(),
    default=OVERLAP,
    show_default=True,
    help="How long the old key still counts.",
)
@click.option("--expires", type=Moment(), help="When the new key ends: a time, or 90d; else never.")
@on_store
def rotate(
    store: WritableStore, name: str, key_id: str | None, overlap: timedelta, expires: str | None
) -> None:
    """Make a new key, and let the old one end later."""
    made: list[str] = []
    ends = moment_after(overlap)

    def change(entries: dict[str, Any]) -> str:
        made[:] = [changes.rotate(entries, name, key_id, ends, expires)]
        return made[0]

    version = _update(store, change)
    click.echo(made[0])
    _say_next(version, f"The new key is shown this once. The old one counts until {ends}.")


@keys.command("expire")
@NAME
@ID
@click.option(
    "--at", type=Moment(), default="0s", show_default="now", help="A time, or how long from now: 7d."
)
@on_store
def expire(store: WritableStore, name: str, key_id: str | None, at: str) -> None:
    """Let a name's keys end, now or later."""
    version = _update(store, lambda entries: changes.expire(entries, name, key_id, at))
    _say_next(version, f"Its keys count until {at}.")


@keys.command("remove")
@NAME
@ID
@click.option("--allow-empty", is_flag=True, help="Also when no key at all is left.")
@on_store
def remove(store: WritableStore, name: str, key_id: str | None, *, allow_empty: bool) -> None:
    """Take out a name's keys, as of the next reload."""
    version = _update(store, lambda entries: changes.remove(entries, name, key_id, may_empty=allow_empty))
    _say_next(version, "Removed.")


def _update(store: WritableStore, change: KeyChange) -> int | None:
    return store.update(changes.guarded(change))


def _say_next(version: int | None, told: str) -> None:
    query = "" if version is None else f"?version={version}"
    click.echo(f"{told}{NEXT.format(query=query)}".lstrip("\n"), err=True, nl=False)
