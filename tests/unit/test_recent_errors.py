"""The latest failures: bounded, over all workers, and nothing in them that a client wrote."""

import multiprocessing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.instance import Instance
from app.logs import RequestRecord
from app.relay import GONE
from app.status_page.recent_errors import (
    ENTRY_BYTES,
    KNOWN,
    SHOWN,
    SHOWN_STRANGERS,
    STRANGERS,
    Failure,
    RecentErrors,
    failure_of,
)

fork = multiprocessing.get_context("fork")


def failed(name: str | None = "ann", status: int = 502, outcome: str = "upstream_error") -> RequestRecord:
    return RequestRecord(
        method="POST",
        route="/v1/completions",
        key_name=name,
        status=status,
        outcome=outcome,
        model="a secret",
    )


@pytest.fixture
def errors() -> RecentErrors:
    instance = Instance()
    instance.set("slots_used", 3)
    return RecentErrors(instance)


def test_a_failure_is_kept_with_what_the_log_says_of_it(errors: RecentErrors) -> None:
    record = failed()
    errors.write(record)

    (kept,) = errors.latest()

    assert (kept.status, kept.method, kept.route) == (502, "POST", "/v1/completions")
    assert (kept.outcome, kept.key_name, kept.request_id) == ("upstream_error", "ann", record.request_id)


@pytest.mark.parametrize(
    "record",
    [
        RequestRecord(status=200),
        RequestRecord(status=499, outcome=GONE),
        RequestRecord(status=401, throttled="::1"),
    ],
    ids=["whole", "client left", "flood of wrong keys"],
)
def test_what_is_no_failure_of_interest_is_not_kept(errors: RecentErrors, record: RequestRecord) -> None:
    errors.write(record)

    assert errors.latest() == []


def test_a_stream_that_broke_is_a_failure_although_it_began_well(errors: RecentErrors) -> None:
    errors.write(failed(status=200, outcome="upstream_lost"))

    assert [each.outcome for each in errors.latest()] == ["upstream_lost"]


def test_the_newest_come_first_and_the_oldest_go(errors: RecentErrors) -> None:
    records = [failed() for _ in range(KNOWN + 5)]
    for record in records:
        errors.write(record)

    kept = [each.request_id for each in errors.latest()]

    assert kept == [record.request_id for record in reversed(records[5:])]


def test_strangers_push_out_nobody_else(errors: RecentErrors) -> None:
    errors.write(failed())
    for _ in range(1000):
        errors.write(failed(None, 401, "missing_or_invalid_key"))

    statuses = [each.status for each in errors.latest()]

    assert statuses.count(502) == 1
    assert statuses.count(401) == min(STRANGERS, SHOWN_STRANGERS)


def write_in_slot(errors: RecentErrors, slot: int) -> None:
    errors.slot = slot
    for _ in range(KNOWN):
        errors.write(failed(f"worker {slot}"))


def test_those_of_every_worker_are_seen(errors: RecentErrors) -> None:
    for slot in range(3):
        child = fork.Process(target=write_in_slot, args=(errors, slot))
        child.start()
        child.join(10)

    kept = errors.latest()

    assert len(kept) == SHOWN
    assert {each.key_name for each in kept} == {"worker 2", "worker 1"}


@given(st.text(max_size=128), st.sampled_from(["POST", "X" * 500, None]))
def test_an_entry_fits_whatever_a_key_is_called(name: str, method: str | None) -> None:
    record = RequestRecord(
        method=method, route="/v1/messages/count_tokens", key_name=name, status=500, outcome="x" * 40
    )

    assert len(msgspec.json.encode(failure_of(record))) < ENTRY_BYTES


def test_half_an_entry_is_no_entry(errors: RecentErrors) -> None:
    errors.write(failed())
    errors._memory[5:9] = b"\0\0\0\0"

    assert errors.latest() == []


def test_no_text_of_a_client_is_kept(errors: RecentErrors) -> None:
    record = failed(None, 400, "invalid_json")
    record.client_request_id, record.peer = "from the client", "127.0.0.1"
    errors.write(record)

    assert set(Failure.__struct_fields__) == {
        *("at", "status", "method", "route", "outcome", "key_name", "request_id", "duration_ms")
    }
    assert b"secret" not in errors._memory[:ENTRY_BYTES] + errors._memory[KNOWN * ENTRY_BYTES :][:ENTRY_BYTES]
