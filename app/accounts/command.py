"""`flask --app wsgi usage`: who used how much, as a table, as CSV or as JSON."""

import json
from typing import Any

import click

from app.accounts.asking import ask_usage
from app.accounts.book import Span, read_span
from app.accounts.database import Database, open_database
from app.accounts.errors import AccountsUnavailable
from app.accounts.listing import as_csv, as_table
from app.accounts.place import parse_place
from app.accounts.report import BY, Source, make_report
from app.accounts.span import SpanRefused, parse_span
from app.settings import process_settings


@click.command("usage")
@click.option("--since", help="24h, 7d, 4w, a day or a time; the first of this month (UTC) by default.")
@click.option("--until", help="The same; now by default. Usage is kept by the hour.")
@click.option("--by", type=click.Choice([by for by in BY if by]), help="Not by key and model, but by one.")
@click.option("--csv", "form", flag_value="csv", help="For a spreadsheet.")
@click.option("--json", "form", flag_value="json", help="For programs: all there is.")
@click.option("--url", help="Ask the gateway there, not the database that USAGE_DATABASE names.")
def show_usage(
    since: str | None, until: str | None, by: str | None, form: str | None, url: str | None
) -> None:
    """Show who used how much of which model, and what it cost (GPU_PRICE_PER_HOUR).

    Without --url it reads the database, which lacks the last seconds of a running gateway. With --url it
    sends the key in VLLM_ADMIN_KEY, or else in VLLM_API_KEY, which needs scope admin.
    """
    if url is not None:
        wishes = {"since": since, "until": until, "by": by}
        report = ask_usage(
            url.rstrip("/"), {name: value for name, value in wishes.items() if value is not None}
        )
    else:
        report = _read(since, until, by or "")
    try:
        text = _shown(report, form, BY[by or ""])
    except (KeyError, TypeError, ValueError, AttributeError):  # what another server calls usage
        if url is None:
            raise
        raise click.ClickException(f"{url} gave something else than usage.") from None
    click.echo(text, nl=False)


def _shown(report: dict[str, Any], form: str | None, groups: tuple[str, ...]) -> str:
    table = as_table(report, groups)  # in every form: it needs all parts of a report, lines of CSV do not
    if form == "csv":
        return as_csv(report, groups)
    return f"{json.dumps(report, indent=2) if form == 'json' else table}\n"


def _read(since: str | None, until: str | None, by: str) -> dict[str, Any]:
    settings = process_settings()
    place = parse_place(settings.usage_database)
    database = open_database(place)
    if database is None:
        raise click.ClickException("USAGE_DATABASE is off: ask the running gateway with --url.")
    try:
        span = parse_span(since, until)
        return _report(database, span, by, settings.gpu_price_per_hour)
    except SpanRefused as refusal:
        raise click.UsageError(f"--{refusal}") from None
    except AccountsUnavailable as error:
        raise click.ClickException(
            f"{place} cannot be read: {error}. A running gateway tells its usage with --url."
        ) from None


def _report(database: Database, span: Span, by: str, price_per_hour: float | None) -> dict[str, Any]:
    groups = BY[by]
    found = database.read(lambda session: read_span(session, span, groups, instance=""))
    return make_report(found, span, groups, price_per_hour, Source(database.kind))
