"""The time of the GPU is shared alike by the requests that are at the upstream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gpu_time import GpuTime, Stint
from app.instance import Instance
from app.logs import RequestRecord


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def begin(gpu_time: GpuTime) -> tuple[Stint, RequestRecord]:
    record = RequestRecord()
    return Stint(gpu_time, record), record


def test_a_request_alone_has_all_of_its_time(clock: Clock) -> None:
    gpu_time = GpuTime(Instance())
    stint, record = begin(gpu_time)
    clock.now += 3
    stint.close()
    clock.now += 100
    stint.close()

    assert record.gpu_seconds == pytest.approx(3)
    assert gpu_time.busy_seconds() == pytest.approx(3)


def test_requests_of_two_workers_share_what_they_have_together(clock: Clock) -> None:
    instance = Instance()
    one, two = GpuTime(instance), GpuTime(instance)
    one.slot, two.slot = instance.take_slot(), instance.take_slot()
    first, first_record = begin(one)
    clock.now += 2
    second, second_record = begin(two)
    clock.now += 4
    first.close()
    clock.now += 1
    second.close()

    assert first_record.gpu_seconds == pytest.approx(2 + 4 / 2)
    assert second_record.gpu_seconds == pytest.approx(4 / 2 + 1)
    assert one.busy_seconds() == pytest.approx(7)


def test_what_a_killed_worker_had_at_the_upstream_is_there_no_more(clock: Clock) -> None:
    instance = Instance()
    killed, other = GpuTime(instance), GpuTime(instance)
    killed.slot, other.slot = instance.take_slot(), instance.take_slot()
    begin(killed)
    instance.free_slot(killed.slot)
    stint, record = begin(other)
    clock.now += 5
    stint.close()

    assert record.gpu_seconds == pytest.approx(5)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=12))
def test_the_shares_of_all_are_the_time_in_which_there_was_any(spans: list[tuple[float, float]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock, gpu_time = Clock(patch), GpuTime(Instance())
        moments = [(start, "begin", number) for number, (start, _) in enumerate(spans)]
        moments += [(start + length, "end", number) for number, (start, length) in enumerate(spans)]
        running, records = {}, {}
        for moment, kind, number in sorted(moments):
            clock.now = 1000 + moment
            if kind == "begin":
                running[number], records[number] = begin(gpu_time)
            else:
                running.pop(number).close()

        shares = sum(record.gpu_seconds for record in records.values())
        assert shares == pytest.approx(gpu_time.busy_seconds(), abs=1e-6)


def test_idle_is_what_is_left_since_the_model_was_ready(clock: Clock) -> None:
    instance = Instance()
    gpu_time = GpuTime(instance)
    assert gpu_time.idle_seconds() == 0
    clock.now += 10
    instance.set("ready_since", clock.now)
    clock.now += 5
    stint, _ = begin(gpu_time)
    clock.now += 2
    stint.close()

    assert (gpu_time.busy_seconds(), gpu_time.idle_seconds()) == (pytest.approx(2), pytest.approx(5))


def test_what_was_told_as_a_sum_never_goes_back(clock: Clock) -> None:
    instance = Instance()
    gpu_time = GpuTime(instance)
    instance.set("ready_since", clock.now)
    clock.now += 5
    idle, busy = gpu_time.idle_seconds(), gpu_time.busy_seconds()
    instance.set("gpu_busy", busy + 1e-6)  # as after a race between two workers
    told = gpu_time.busy_seconds()
    instance.set("gpu_busy", busy)

    assert gpu_time.idle_seconds() == idle
    assert gpu_time.busy_seconds() == told > busy
