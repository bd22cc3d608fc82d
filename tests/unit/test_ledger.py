"""What one request adds to the counts of its worker."""

from typing import Any

import pytest

from app.counts import HISTOGRAMS, USAGE_COLUMNS, histogram
from app.instance import Instance
from app.ledger import MAX_MODELS, Ledger
from app.logs import RequestRecord
from app.usage import Usage

CHAT = "/v1/chat/completions"


def record(**fields: Any) -> RequestRecord:
    known = {"route": CHAT, "key_name": "laptop", "model": "m", "status": 200, "started": 100.0}
    return RequestRecord(**{**known, **fields})


def usage_after(*records: RequestRecord) -> dict[tuple[str, ...], dict[str, float]]:
    instance = Instance()
    ledger = Ledger(instance)
    for each in records:
        ledger.write(each)
    sums = instance.usage.sums(1)
    return {labels: dict(zip(USAGE_COLUMNS, values, strict=True)) for labels, values in sums.items()}


def latencies_after(each: RequestRecord, monkeypatch: pytest.MonkeyPatch, now: float) -> dict[str, Any]:
    instance = Instance()
    monkeypatch.setattr("time.monotonic", lambda: now)
    Ledger(instance).write(each)
    [(labels, row)] = instance.latencies.sums(1).items()
    return {"labels": labels, **{name: histogram(row, name) for name in HISTOGRAMS}}


def test_tokens_bytes_and_gpu_time_are_counted_by_key_and_model() -> None:
    one = record(usage=Usage(7, 20, 3), gpu_seconds=0.5, bytes_in=10, bytes_out=20)
    two = record(usage=Usage(1, 2, 0, is_partial=True), outcome="client_gone")

    assert usage_after(one, two) == {
        ("laptop", "m"): {
            "requests": 2,
            "errors": 0,
            "aborts": 1,
            "partial_answers": 1,
            "prompt_tokens": 8,
            "cached_tokens": 3,
            "completion_tokens": 22,
            "gpu_seconds": 0.5,
            "bytes_in": 10,
            "bytes_out": 20,
            "partial_prompt_tokens": 1,
            "partial_cached_tokens": 0,
            "partial_completion_tokens": 2,
        }
    }


@pytest.mark.parametrize(
    ("outcome", "status"), [("upstream_lost", 200), ("upstream_error", 502), ("complete", 400)]
)
def test_what_went_wrong_is_an_error(outcome: str, status: int) -> None:
    [counted] = usage_after(record(outcome=outcome, status=status)).values()

    assert (counted["requests"], counted["errors"], counted["aborts"]) == (1, 1, 0)


def test_a_model_that_the_upstream_refused_is_not_named() -> None:
    assert list(usage_after(record(model="made up", status=404, outcome="complete"))) == [("laptop", "")]


def test_an_upstream_that_takes_any_name_does_not_fill_the_table() -> None:
    counted = usage_after(*(record(model=f"m{number}") for number in range(MAX_MODELS + 5)))

    assert len(counted) == MAX_MODELS + 1
    assert counted["laptop", "other"]["requests"] == 5


def test_what_is_no_inference_is_no_usage() -> None:
    assert usage_after(record(route="/admin/status"), record(key_name=None, status=401)) == {}


def test_every_request_is_counted_by_route_status_and_outcome() -> None:
    instance = Instance()
    ledger = Ledger(instance)

    for route in (None, CHAT, CHAT):
        ledger.write(record(route=route))

    counted = {("other", "200", "complete"): [1.0], (CHAT, "200", "complete"): [2.0]}
    assert instance.answers.sums(1) == counted


def test_times_fall_into_their_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = record(sent_at=100.503, waited=0.5, first_byte_at=100.7, is_stream=True, usage=Usage(7, 11))

    found = latencies_after(timed, monkeypatch, now=102.7)

    assert found["labels"] == (CHAT, "stream")
    wanted = {"gateway_overhead": 0.003, "first_byte": 0.7, "duration": 2.7, "inter_token": 0.2}
    for name, seconds in wanted.items():
        buckets, total = found[name]
        assert total == pytest.approx(seconds, abs=1e-9)
        index = buckets.index(1)
        assert sum(buckets) == 1
        assert ([0.0, *HISTOGRAMS[name]][index]) < seconds <= HISTOGRAMS[name][index]


def test_what_never_reached_the_upstream_has_no_times() -> None:
    instance = Instance()

    Ledger(instance).write(record(status=400))

    assert instance.latencies.sums(1) == {}


def test_what_is_longer_than_every_bucket_is_in_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    buckets, _ = latencies_after(record(sent_at=100.0), monkeypatch, now=9999.0)["duration"]

    assert buckets[-1] == 1
