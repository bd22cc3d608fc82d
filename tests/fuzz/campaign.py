"""Plays many inputs at once, counts what came, and keeps those that show a problem."""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.fake_vllm import Received
from tests.fuzz.inputs import Input
from tests.fuzz.player import Outcome, play
from tests.fuzz.subject import Subject

CONNECTIONS = 8
BATCH = 250
MOST_KEPT = 20
FINDINGS = Path("fuzz-findings")

Make = Callable[[random.Random], Input]
Compare = Callable[[Input, Outcome, dict[str, Received]], list[str]]


@dataclass
class Result:
    """What a kind of fuzzing has seen."""

    name: str
    requests: int = 0
    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    contacts: int = 0
    findings: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """One line."""
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        return (
            f"{self.name:9} {self.requests:7} requests in {self.seconds:4.0f} s, "
            f"{self.contacts} went upstream, {len(self.findings)} findings; answers {statuses}"
        )


class Campaign:
    """Inputs of one kind, made from a seed and a number, so that any of them can be made again."""

    def __init__(self, subject: Subject, result: Result, seed: str, compare: Compare | None = None) -> None:
        self._subject = subject
        self._result = result
        self._seed = seed
        self._compare = compare

    def run(self, keyed: Make, keyless: Make | None, count: int) -> Result:
        """Play so many; of five batches one is with the valid key where both kinds are made."""
        began = time.monotonic()
        self._subject.take_contacts()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for number, start in enumerate(range(0, count, BATCH)):
                is_keyed = keyless is None or number % 5 == 0
                make = keyed if is_keyed or keyless is None else keyless
                self._play_batch(pool, make, range(start, min(count, start + BATCH)), is_keyed=is_keyed)
        self._result.seconds += time.monotonic() - began
        return self._result

    def _play_batch(self, pool: ThreadPoolExecutor, make: Make, numbers: range, *, is_keyed: bool) -> None:
        inputs = [make(random.Random(f"{self._seed}-{self._result.name}-{number}")) for number in numbers]
        outcomes = list(pool.map(lambda sent: play(self._subject.gateway.port, sent), inputs))
        contacts = {contact.request_id: contact for contact in self._subject.take_contacts()}
        if contacts and not is_keyed:
            self._result.findings.append(f"inputs {numbers} hold no key, and {len(contacts)} went upstream")
        self._result.contacts += len(contacts)
        for number, sent, outcome in zip(numbers, inputs, outcomes, strict=True):
            self._result.statuses += outcome.statuses
            if self._compare is not None:
                outcome.problems += self._compare(sent, outcome, contacts)
            if outcome.problems:
                self._keep(number, sent, outcome.problems)
        self._result.requests += len(inputs)

    def _keep(self, number: int, sent: Input, problems: list[str]) -> None:
        self._result.findings.append(f"input {number}: {'; '.join(problems)}")
        if len(self._result.findings) > MOST_KEPT:
            return
        FINDINGS.mkdir(exist_ok=True)
        file = FINDINGS / f"{self._result.name}-{self._seed}-{number}.json"
        sent.write(file, problems)
        sys.stdout.write(f"{'; '.join(problems)}\n  python -m tests.fuzz --replay {file}\n")
        sys.stdout.flush()
