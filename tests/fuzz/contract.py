"""Requests that Schemathesis makes from the OpenAPI document; every answer has to be as the document says."""

import itertools
import random
import time
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.client import KEY
from tests.fuzz.campaign import Result
from tests.fuzz.judge import judge
from tests.fuzz.reading import STATUS_LINE, Message
from tests.fuzz.subject import GUEST, Subject
from tests.local import ROOT

DOCUMENT = ROOT / "docs" / "openapi.yaml"
MOST_AT_ONCE = 100  # requests to one operation before the next has its turn
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
KEYED = ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"X-API-Key": GUEST})
KEYLESS: tuple[dict[str, str], ...] = ({}, {"X-API-Key": "sk-wrong"}, {"Authorization": "Basic eDp4"})
CREDENTIALS = st.sampled_from((*KEYED * 3, *KEYLESS))


def load() -> Any:
    """The document, checked against OpenAPI's own schema."""
    schema = schemathesis.openapi.from_path(DOCUMENT)
    schema.validate()
    return schema


class Contract:
    """Asks every operation with fitting and with unfitting data, and notes what does not conform."""

    def __init__(self, subject: Subject, result: Result) -> None:
        self._subject = subject
        self._result = result
        self._url = f"http://127.0.0.1:{subject.gateway.port}"
        self._keyless: set[str] = set()  # ids of requests that must not go upstream
        self._peers = random.Random("peers")

    def run(self, count: int, seed_number: int) -> Result:
        """About so many requests."""
        began = time.monotonic()
        self._subject.take_contacts()
        operations = [result.ok() for result in load().get_all_operations()]
        turns = list(itertools.product(operations, GenerationMode))
        at_once = max(1, min(MOST_AT_ONCE, count // len(turns)))
        for turn in itertools.count(seed_number):
            for operation, mode in turns:
                if self._result.requests >= count:
                    self._result.seconds += time.monotonic() - began
                    return self._result
                self._ask(operation.as_strategy(mode), min(at_once, count - self._result.requests), turn)
                self._judge_contacts()
        return self._result

    def _ask(self, cases: st.SearchStrategy[Any], count: int, seed_number: int) -> None:
        @seed(seed_number)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases, CREDENTIALS)
        def ask(case: Any, credentials: dict[str, str]) -> None:
            self._try(case, credentials)

        try:
            ask()
        except Unsatisfiable:  # nothing in this operation can be unfitting
            return

    def _try(self, case: Any, credentials: dict[str, str]) -> None:
        peer = {"X-Forwarded-For": f"10.9.{self._peers.randrange(256)}.{self._peers.randrange(256)}"}
        response = case.call(base_url=self._url, headers={**peer, **credentials})
        self._result.requests += 1
        self._result.statuses[response.status_code] += 1
        if credentials in KEYLESS:
            self._keyless.add(response.headers["x-request-id"][0])
        problems = judge(as_message(response), target=case.operation.path.encode())
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as error:
            problems += [str(each) for each in error.exceptions]
        self._result.findings += [f"{problem}: {case.as_curl_command()}" for problem in problems]

    def _judge_contacts(self) -> None:
        contacts = self._subject.take_contacts()
        self._result.contacts += len(contacts)
        if any(contact.request_id in self._keyless for contact in contacts):
            self._result.findings.append("a request without a key went upstream")
        self._keyless.clear()


def as_message(response: schemathesis.Response) -> Message:
    """An answer as the judge reads it."""
    start = STATUS_LINE.fullmatch(b"HTTP/1.1 %d " % response.status_code)
    assert start is not None
    fields = [
        (name.lower().encode(), value.encode("latin-1"))
        for name, values in response.headers.items()
        for value in values
    ]
    return Message(start, fields, response.content)
