"""Ask about known vulnerabilities of what is locked: `python -m tests.supply.audit [--osv-url URL] [LOCK…]`.

An audit that finds nothing may have asked nobody: a mirror of the package index carries no advisories, and
pip-audit then finds "no known vulnerabilities". So each run also asks about an old package that has many, and
only a database that knows of those, and has an answer about every package, is believed. The status is 0 when
nothing was found, 1 when something was, 3 when nobody could be asked; never 0 without an answer.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from launch.environments import AUDIT_TOOLS
from tests.local import ROOT
from tests.supply.locks import parse_lock, read_lock

PASSED, VULNERABLE, NOT_DONE = 0, 1, 3
PLANTED = "tests/supply/known-vulnerable.txt"
LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-audit.txt")
SOURCES = (("--vulnerability-service", "pypi"), ("--vulnerability-service", "osv"))
OPTIONS = ("--strict", "--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json")


class Unanswered(Exception):
    """The source did not say what it was asked; the text says how that shows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask the sources in turn, until one answers."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("locks", nargs="*", default=LOCKS, metavar="LOCK")
    parser.add_argument("--osv-url", help="ask this server, and no other, as one asks OSV")
    options = parser.parse_args(arguments)
    locked = {(pin.name, pin.version) for lock in options.locks for pin in read_lock(lock).values()}
    sources = [(*SOURCES[1], "--osv-url", options.osv_url)] if options.osv_url else SOURCES
    for source in sources:
        try:
            findings = read_report(ask(source, options.locks), locked)
        except Unanswered as error:
            say(f"no answer from {' '.join(source)}: {error}")
        else:
            return tell(findings, len(locked))
    say("NOT DONE. No advisories could be had, so nothing is known about these packages: this is not a pass.")
    return NOT_DONE


def ask(source: Sequence[str], locks: Sequence[str]) -> str:
    """What pip-audit prints about the locks and the planted package. Raises Unanswered."""
    files = [part for lock in (PLANTED, *locks) for part in ("--requirement", lock)]
    command = [AUDIT_TOOLS.python, "-m", "pip_audit", *OPTIONS, *source, *files]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if not asked.stdout:
        raise Unanswered(asked.stderr.strip().rpartition("\n")[2])
    return asked.stdout


def read_report(report: str, locked: set[tuple[str, str]]) -> list[str]:
    """What is known against what is locked. Raises Unanswered where any answer is missing."""
    answers = {(each["name"], each.get("version")): each for each in json.loads(report)["dependencies"]}
    vulnerable = {package: each["vulns"] for package, each in answers.items() if each.get("vulns")}
    for pin in parse_lock((ROOT / PLANTED).read_text()).values():
        if (pin.name, pin.version) not in vulnerable:
            raise Unanswered(
                f"it knows nothing against {pin.name} {pin.version}, which has known vulnerabilities"
            )
    if missing := sorted(name for name, version in locked if "vulns" not in answers.get((name, version), {})):
        raise Unanswered(f"it was silent about {', '.join(missing)}")
    return [
        f"{name} {version}: {describe(each)}"
        for (name, version), found in vulnerable.items()
        if (name, version) in locked
        for each in found
    ]


def describe(vulnerability: Mapping[str, Any]) -> str:
    """Its names, and the versions without it."""
    names = ", ".join([vulnerability["id"], *vulnerability["aliases"]])
    return f"{names}, mended in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"


def tell(findings: Sequence[str], count: int) -> int:
    """Print what was found; returns the status."""
    for finding in findings:
        say(finding)
    say(f"{count} packages, {len(findings)} known vulnerabilities; the planted ones were found")
    return VULNERABLE if findings else PASSED


def say(text: str) -> None:
    """One line."""
    sys.stdout.write(f"audit: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
