"""`flask --app wsgi doctor`: what is wrong with a deployment, seen from a client."""

import time

import click

from app.doctor.catalogue import TROUBLES
from app.doctor.deployment import Deployment, Wishes
from app.doctor.examination import examine
from app.doctor.report import Report

LONGEST_WAIT_SECONDS = 3600.0


@click.command("doctor")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where the gateway is.")
@click.option(
    "--key",
    envvar="VLLM_API_KEY",
    show_envvar=True,
    default="",
    help="An API key of it. Better by the variable: other users of this machine can read command lines.",
)
@click.option("--model", help="Which of its models; the first, if none is named.")
@click.option(
    "--wait",
    type=click.FloatRange(0, LONGEST_WAIT_SECONDS),
    default=120.0,
    show_default=True,
    help="Seconds for a model that is still loading.",
)
@click.option(
    "--identity-token",
    envvar="GATEWAY_IDENTITY_TOKEN",
    show_envvar=True,
    default="",
    help="A Google identity token, where Cloud Run's IAM asks for one; better by the variable, too.",
)
@click.option(
    "--accept",
    "accepted",
    type=click.Choice(sorted(TROUBLES)),
    multiple=True,
    metavar="CODE",
    help="A fault that is known, and only warned of: as tools_as_text, where a small model calls no tools.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def doctor(
    context: click.Context, /, *, as_json: bool, accepted: tuple[str, ...], **wishes: str | float | None
) -> None:
    """Check a gateway from its client's side: the way to it, the key, streams, tools, limits.

    Needs no access to the server. Sends some twenty requests, and has a few hundred tokens generated. Ends
    with status 1 when something is wrong, and says in one sentence what, and in another how to mend it.
    """
    deployment = Deployment(Wishes(**wishes), tell=lambda text: click.echo(text, err=True))  # type: ignore[arg-type]
    report, began = Report(as_json=as_json, accepted=accepted), time.monotonic()
    for name, finding in examine(deployment):
        report.add(name, finding)
    report.end(deployment, time.monotonic() - began)
    deployment.client.close()
    context.exit(1 if report.faults else 0)
