"""`python -m tests.fuzz`: 100,000 requests, or `--requests N`; `--replay FILE` plays one that was kept."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import bodies, raw
from tests.fuzz.campaign import Campaign, Result
from tests.fuzz.contract import Contract
from tests.fuzz.inputs import Input
from tests.fuzz.player import play
from tests.fuzz.subject import Subject, started

REQUESTS = 100_000
SHARES = {"raw": 0.5, "bodies": 0.3, "contract": 0.2}
WARM_UP = 1000  # raw inputs, before the memory of the workers is noted


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", choices=SHARES, help="one kind of fuzzing")
    parser.add_argument("--replay", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    with started(folder) as subject:
        if options.replay:
            return replay(subject, options.replay)
        kinds = [options.only] if options.only else list(SHARES)
        found = fuzz(subject, options.requests, options.seed, kinds)
    if found:
        say(f"The log is kept: {folder / 'gateway.log'}")
    return int(found)


def fuzz(subject: Subject, count: int, seed: int, kinds: list[str]) -> bool:
    """Fuzz in each way, and say what came of it; whether anything was found."""
    say(f"seed {seed}")
    total = sum(SHARES[kind] for kind in kinds)
    raw_bytes(subject, Result("warm-up"), min(WARM_UP, count // 10), seed)
    subject.note_sizes()
    results = []
    for kind in kinds:
        results.append(KINDS[kind](subject, Result(kind), round(count * SHARES[kind] / total), seed))
        say(results[-1].summary())
    findings = [finding for result in results for finding in result.findings]
    findings += subject.aftermath()
    for finding in findings[:50]:
        say(f"found: {finding[:2000]}")
    asked, seconds = sum(result.requests for result in results), sum(result.seconds for result in results)
    say(f"{asked} requests in {seconds:.0f} s with seed {seed}: {len(findings)} findings")
    return bool(findings)


def raw_bytes(subject: Subject, result: Result, count: int, seed: int) -> Result:
    """Mutated bytes, most of them without a valid key."""
    return Campaign(subject, result, str(seed)).run(raw.with_valid_key, raw.without_valid_key, count)


def json_bodies(subject: Subject, result: Result, count: int, seed: int) -> Result:
    """Bodies of a known verdict, with a valid key."""
    return Campaign(subject, result, str(seed), bodies.compare).run(bodies.make, None, count)


def contract(subject: Subject, result: Result, count: int, seed: int) -> Result:
    """What Schemathesis makes of the document."""
    return Contract(subject, result).run(count, seed)


KINDS = {"raw": raw_bytes, "bodies": json_bodies, "contract": contract}


def replay(subject: Subject, file: Path) -> int:
    """Play an input again, and show what comes back."""
    sent = Input.read(file)
    outcome = play(subject.gateway.port, sent)
    contacts = {contact.request_id: contact for contact in subject.take_contacts()}
    problems = outcome.problems + (bodies.compare(sent, outcome, contacts) if sent.expected else [])
    for piece in sent.pieces:
        say(f"> {piece!r}")
    for answer in outcome.answers:
        say(f"< {answer.start[0]!r} {answer.fields} {answer.body!r}")
    say(f"{len(contacts)} went upstream; {'; '.join(problems) or 'nothing is wrong'}")
    return int(bool(problems))


def say(line: str) -> None:
    """One line for the person who waits."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
