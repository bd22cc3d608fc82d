"""The sums of the instance as families of samples."""

import os
import time
from collections.abc import Iterable

import gevent
import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.counts import USAGE_COLUMNS
from app.instance import MAX_SERIES, Instance
from app.keys.records import KeyRecord
from app.ledger import Ledger
from app.logs import RequestRecord
from app.metrics.by_key import FAMILIES, bounded, usage_families
from app.metrics.condition import RECORDS_AT_ONCE, expiries
from app.metrics.processes import process_families, read_processes
from app.metrics.traffic import UPSTREAM_ERRORS, latency_families, request_families
from app.metrics.views import Families
from app.version import VERSION
from tests.local import ROOT

CHAT = "/v1/chat/completions"


@pytest.fixture
def instance() -> Instance:
    return Instance()


def values(families: Iterable[Metric]) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels, as a reader of the text sees them."""
    text = generate_latest(Families(families)).decode()
    return {
        (sample.name.removeprefix("vllm_gateway_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def write(instance: Instance, slot: int = 0, **fields: object) -> None:
    ledger = Ledger(instance)
    ledger.use_slot(slot)
    instance.set("slots_used", max(instance.slots_used, slot + 1))
    ledger.write(RequestRecord(**{"route": CHAT, "status": 200, **fields}))  # type: ignore[arg-type]


def test_requests_of_all_workers_are_one_sum(instance: Instance) -> None:
    for slot in (0, 3, 3):
        write(instance, slot)

    assert values(request_families(instance))[("requests_total", "200", "complete", CHAT)] == 3


@pytest.mark.parametrize(
    ("outcome", "status", "route", "blamed"),
    [
        *((outcome, 502, CHAT, True) for outcome in UPSTREAM_ERRORS),
        ("upstream_lost", 200, CHAT, True),
        ("upstream_refused", 400, CHAT, False),
        ("upstream_refused", 404, "/v1/models", False),
        ("upstream_error", 502, "/metrics/vllm", False),
        ("complete", 200, CHAT, False),
        ("client_gone", 499, CHAT, False),
        ("overloaded", 503, CHAT, False),
    ],
)
def test_the_upstream_is_blamed_for_what_is_its_own(
    instance: Instance, outcome: str, status: int, route: str, blamed: bool
) -> None:
    write(instance, outcome=outcome, status=status, route=route)

    found = values(request_families(instance))
    errors = {labels[0]: value for (name, *labels), value in found.items() if name == "upstream_errors_total"}
    assert errors == {**dict.fromkeys(UPSTREAM_ERRORS, 0), **({outcome: 1} if blamed else {})}


def test_clients_that_left_are_counted_by_route(instance: Instance) -> None:
    write(instance, outcome="client_gone", status=499)
    write(instance)

    assert values(request_families(instance))[("client_aborts_total", CHAT)] == 1


def test_a_histogram_is_cumulated_over_workers(instance: Instance) -> None:
    for slot, seconds in enumerate((0.02, 0.2, 1000.0)):
        write(instance, slot, started=5.0, sent_at=5.0, first_byte_at=5.0 + seconds)

    found = values(latency_families(instance))
    name = "time_to_first_byte_seconds"
    counts = {labels[1]: value for (sample, *labels), value in found.items() if sample == f"{name}_bucket"}
    assert (counts["0.01"], counts["0.025"], counts["0.25"], counts["300.0"], counts["+Inf"]) == (
        0,
        1,
        2,
        2,
        3,
    )
    assert found[(f"{name}_count", "whole", CHAT)] == 3
    assert found[(f"{name}_sum", "whole", CHAT)] == pytest.approx(1000.22)


def fill(instance: Instance, names: Iterable[str], slot: int = 0) -> None:
    for name in names:
        write(instance, slot, key_name=name, model="m")


def test_of_ten_thousand_key_names_so_many_have_series_and_the_rest_one(instance: Instance) -> None:
    for slot in range(4):  # each worker has room for 8,192 rows
        fill(instance, (f"key-{number}" for number in range(slot * 2500, (slot + 1) * 2500)), slot)

    found = values(usage_families(instance))

    assert len(found) == len(USAGE_COLUMNS) * (MAX_SERIES + 1)
    assert sum(value for (name, *_), value in found.items() if name == "key_requests_total") == 10_000
    assert found[("key_requests_total", "other", "other")] == 10_000 - MAX_SERIES


def test_who_is_shown_stays_shown_and_who_is_not_stays_in_the_rest(instance: Instance) -> None:
    fill(instance, (f"early-{number}" for number in range(MAX_SERIES - 1)), slot=3)
    first = bounded(instance, instance.usage.sums(4))
    fill(instance, (f"late-{number}" for number in range(5)), slot=0)  # whose rows come before all others
    second = bounded(instance, instance.usage.sums(4))
    fill(instance, (f"late-{number}" for number in range(5)), slot=0)
    third = bounded(instance, instance.usage.sums(4))

    assert first.keys() < second.keys() == third.keys()
    assert (("other", "other") in first, second[("other", "other")][0]) == (False, 4)
    assert third[("other", "other")][0] == 8


def test_each_column_of_usage_has_a_family() -> None:
    assert FAMILIES.keys() == set(USAGE_COLUMNS)


def test_names_may_hold_what_the_text_format_uses_itself(instance: Instance) -> None:
    name = 'a "b" \\ {c="d"} é'
    fill(instance, [name])

    assert values(usage_families(instance))[("key_requests_total", name, "m")] == 1


def test_a_scrape_lets_others_run_all_the_while(instance: Instance) -> None:
    for slot in range(16):
        fill(instance, (f"key-{number}" for number in range(MAX_SERIES)), slot)
    pauses: list[float] = []

    def other() -> None:
        while True:
            pauses.append(time.monotonic())
            gevent.sleep(0)

    greenlet = gevent.spawn(other)
    values_read = generate_latest(Families(usage_families(instance)))
    greenlet.kill()

    assert values_read.count(b"\n") > MAX_SERIES * len(USAGE_COLUMNS)
    assert len(pauses) >= 16 + len(USAGE_COLUMNS)


def test_of_many_keys_those_that_end_first_are_told_and_others_run_meanwhile() -> None:
    later = time.time() + 1000
    keys = [KeyRecord(f"name-{n}", f"id-{n}", f"{n:064x}", expires=later - n) for n in range(1000)]
    keys += [KeyRecord(f"late-{n}", f"late-{n}", f"{n:064x}", expires=later + n) for n in range(9000)]
    keys += [KeyRecord("ended", "id", "f" * 64, expires=later - 2000), KeyRecord("endless", "id", "e" * 64)]
    turns: list[float] = []

    def other() -> None:
        while True:
            turns.append(time.monotonic())
            gevent.sleep(0)

    greenlet = gevent.spawn(other)
    found = values([expiries(keys)])
    greenlet.kill()

    assert {name for _, name, _ in found} == {f"name-{n}" for n in range(900, 1000)}
    assert len(turns) >= len(keys) // RECORDS_AT_ONCE


def test_two_keys_of_one_name_and_id_are_one_series() -> None:
    end = round(time.time()) + 1000
    keys = [KeyRecord("laptop", "k1", f"{n:064x}", expires=float(end + n)) for n in (2, 0, 1)]

    assert [(sample.labels, sample.value) for sample in expiries(keys).samples] == [
        ({"key": "laptop", "key_id": "k1"}, end)
    ]


def test_the_processes_are_told_by_name(instance: Instance) -> None:
    instance.set("master_pid", os.getppid())
    instance.pids[0] = os.getpid()

    found = values(process_families(instance))

    assert found[("workers",)] == 1
    assert found[("process_resident_memory_bytes", "worker-0")] > 10 * 1024 * 1024
    assert found[("process_open_fds", "worker-0")] == pytest.approx(len(os.listdir("/proc/self/fd")), abs=3)
    assert time.time() - 86_400 < found[("process_start_time_seconds", "worker-0")] <= time.time()
    assert found[("process_cpu_seconds_total",)] >= time.process_time() - 0.1


def test_a_clock_that_is_set_starts_no_process_anew(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.pids[0] = os.getpid()
    before = read_processes(instance)["worker-0"].started
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3)

    assert read_processes(instance)["worker-0"].started == before


def test_cpu_time_does_not_go_back_with_a_process_that_ends(instance: Instance) -> None:
    instance.pids[0] = os.getpid()
    before = values(process_families(instance))[("process_cpu_seconds_total",)]
    instance.pids[0] = 2**22  # which is nobody's

    assert read_processes(instance) == {}
    assert values(process_families(instance))[("process_cpu_seconds_total",)] >= before


def test_the_version_is_the_projects() -> None:
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()
