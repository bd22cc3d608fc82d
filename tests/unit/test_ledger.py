"""What a request adds to the sums when it ends."""

import time

import pytest

from app.counts import HISTOGRAMS, USAGE_COLUMNS, histogram
from app.instance import Instance
from app.ledger import MAX_MODELS, Ledger
from app.logs import RequestRecord
from app.usage import Usage

CHAT = "/v1/chat/completions"


@pytest.fixture
def instance() -> Instance:
    return Instance()


def ended(**fields: object) -> RequestRecord:
    known = {"route": CHAT, "key_name": "ann", "model": "m", "status": 200, "started": time.monotonic() - 1.0}
    return RequestRecord(**{**known, **fields})  # type: ignore[arg-type]


def usage_of(instance: Instance, key: str = "ann", model: str = "m") -> dict[str, float]:
    return dict(zip(USAGE_COLUMNS, instance.usage.sums(1)[(key, model)], strict=True))


def test_a_whole_answer_counts_its_tokens_and_bytes(instance: Instance) -> None:
    Ledger(instance).write(ended(usage=Usage(7, 5, 3), bytes_in=10, bytes_out=20, gpu_seconds=0.5))

    row = usage_of(instance)
    assert (row["requests"], row["errors"], row["aborts"], row["partial_answers"]) == (1, 0, 0, 0)
    assert (row["prompt_tokens"], row["completion_tokens"], row["cached_tokens"]) == (7, 5, 3)
    assert (row["bytes_in"], row["bytes_out"], row["gpu_seconds"]) == (10, 20, 0.5)


@pytest.mark.parametrize(
    ("outcome", "status", "model", "errors", "aborts"),
    [
        ("client_gone", 200, "m", 0, 1),
        ("upstream_lost", 200, "m", 1, 0),
        ("invalid_field", 400, "", 1, 0),
        ("upstream_refused", 503, "", 1, 0),
    ],
)
def test_an_end_that_is_none_is_an_error_or_an_abort(
    instance: Instance, outcome: str, status: int, model: str, errors: int, aborts: int
) -> None:
    Ledger(instance).write(ended(outcome=outcome, status=status))

    row = usage_of(instance, model=model)
    assert (row["requests"], row["errors"], row["aborts"]) == (1, errors, aborts)


def test_strangers_and_routes_of_ours_are_no_use_of_the_model(instance: Instance) -> None:
    ledger = Ledger(instance)
    ledger.write(ended(key_name=None, status=401, outcome="missing_or_invalid_key"))
    ledger.write(ended(route="/metrics"))

    assert instance.usage.sums(1) == {}
    assert instance.answers.sums(1) == {
        (CHAT, "401", "missing_or_invalid_key"): [1.0],
        ("/metrics", "200", "complete"): [1.0],
    }


def test_models_that_an_upstream_makes_up_do_not_fill_the_table(instance: Instance) -> None:
    ledger = Ledger(instance)
    for number in range(MAX_MODELS + 10):
        ledger.write(ended(model=f"m{number}"))

    assert len(instance.usage.sums(1)) == MAX_MODELS + 1
    assert usage_of(instance, model="other")["requests"] == 10


def test_times_are_counted_where_they_can_be_told(instance: Instance) -> None:
    now = time.monotonic()
    ledger = Ledger(instance)
    ledger.write(ended(sent_at=now - 0.5, waited=0.4, is_stream=True, first_byte_at=now, usage=Usage(1, 11)))
    ledger.write(ended(sent_at=now, status=504, outcome="upstream_timeout"))
    ledger.write(ended(status=400, outcome="invalid_field"))

    rows = instance.latencies.sums(1)
    assert rows.keys() == {(CHAT, "stream"), (CHAT, "whole")}
    counts = {name: sum(histogram(rows[(CHAT, "stream")], name)[0]) for name in HISTOGRAMS}
    assert counts == dict.fromkeys(HISTOGRAMS, 1)
    counts = {name: sum(histogram(rows[(CHAT, "whole")], name)[0]) for name in HISTOGRAMS}
    assert counts == {"gateway_overhead": 1, "duration": 1, "first_byte": 0, "inter_token": 0}


def test_a_time_falls_into_the_bucket_whose_bound_it_does_not_pass(instance: Instance) -> None:
    ledger = Ledger(instance)
    for first_byte in (0.25, 0.26, 1000.0):
        ledger.write(ended(started=5.0, sent_at=5.0, first_byte_at=5.0 + first_byte))

    counts, seconds = histogram(instance.latencies.sums(1)[(CHAT, "whole")], "first_byte")
    bounds = [*HISTOGRAMS["first_byte"], None]
    assert [bound for bound, count in zip(bounds, counts, strict=True) if count] == [0.25, 0.5, None]
    assert seconds == pytest.approx(1000.51)
