"""The report of an examination: a line for each check as it is made, or one JSON object at the end."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import click
import msgspec

from app.doctor.deployment import Deployment
from app.doctor.finding import Finding, Verdict

COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAULT: "red", Verdict.SKIPPED: None}
INDENT = " " * 22


class Report:
    """Collects findings; writes each at once, unless it is for programs."""

    def __init__(self, *, as_json: bool, accepted: Collection[str] = ()) -> None:
        self._as_json = as_json
        self._accepted = accepted  # codes of faults that are known, and count as warnings
        self._findings: list[tuple[str, Finding]] = []

    @property
    def faults(self) -> int:
        """How many faults there are."""
        return self._count(Verdict.FAULT)

    def add(self, name: str, finding: Finding) -> None:
        """Note what a check has found."""
        if finding.code in self._accepted:
            finding = replace(finding, verdict=Verdict.WARNING)
        self._findings.append((name, finding))
        if self._as_json:
            return
        verdict = click.style(f"{finding.verdict.value:<9}", fg=COLOURS[finding.verdict])
        click.echo(f"{verdict}{name:<12} {finding.text}")
        if finding.fix:
            click.echo(f"{INDENT}{finding.fix}")
        if finding.request_id:
            click.echo(f"{INDENT}X-Request-Id: {finding.request_id}")

    def end(self, deployment: Deployment, seconds: float) -> None:
        """Say how it ends, and what it has cost."""
        if self._as_json:
            content = msgspec.json.format(msgspec.json.encode(self._as_object(deployment, seconds)), indent=2)
            click.echo(content.decode())
            return
        warnings = self._count(Verdict.WARNING)
        faults = f"{self.faults} fault{'s' * (self.faults != 1)}"
        told = (
            f"{faults}, {warnings} warning{'s' * (warnings != 1)}"
            if self.faults or warnings
            else "All is well"
        )
        cost = f"{deployment.client.asked} requests, {deployment.tokens} tokens generated, {seconds:.1f} s"
        click.echo(f"\n{told}. {cost}.")

    def _count(self, verdict: Verdict) -> int:
        return sum(finding.verdict is verdict for _, finding in self._findings)

    def _as_object(self, deployment: Deployment, seconds: float) -> dict[str, Any]:
        return {
            "ok": not self.faults,
            "url": deployment.quote(deployment.url),
            "model": deployment.quote(deployment.model),
            "findings": [
                {
                    "check": name,
                    "verdict": found.verdict.value,
                    "code": found.code,
                    "text": found.text,
                    "fix": found.fix,
                    "request_id": found.request_id,
                }
                for name, found in self._findings
            ],
            "requests": deployment.client.asked,
            "tokens": deployment.tokens,
            "seconds": round(seconds, 2),
        }
