"""Each moment of the instance is shared by the requests that are at the upstream."""

import pytest

from app.gpu_time import GpuTime, Stint
from app.instance import Instance
from app.logs import RequestRecord
from tests.unit.conftest import Clock


@pytest.fixture
def instance(clock: Clock) -> Instance:
    return Instance()


def test_who_is_alone_has_all_of_the_time(instance: Instance, clock: Clock) -> None:
    record = RequestRecord()
    stint = Stint(GpuTime(instance), record)
    clock.go(3)
    stint.close()
    clock.go(3)
    stint.close()

    assert record.gpu_seconds == pytest.approx(3)


def test_those_who_are_there_together_share_it(instance: Instance, clock: Clock) -> None:
    first, second = RequestRecord(), RequestRecord()
    one, other = GpuTime(instance), GpuTime(instance)  # of two workers
    other.slot = 1
    instance.set("slots_used", 2)
    stint = Stint(one, first)
    clock.go(2)
    later = Stint(other, second)
    clock.go(4)
    stint.close()
    clock.go(1)
    later.close()

    assert first.gpu_seconds == pytest.approx(2 + 4 / 2)
    assert second.gpu_seconds == pytest.approx(4 / 2 + 1)
    assert one.busy_seconds() == pytest.approx(7)


def test_idle_is_what_is_left_since_the_model_was_ready(instance: Instance, clock: Clock) -> None:
    gpu_time = GpuTime(instance)
    assert gpu_time.idle_seconds() == 0
    clock.go(10)
    instance.set("ready_since", clock.now)
    clock.go(5)
    stint = Stint(gpu_time, RequestRecord())
    clock.go(2)
    stint.close()

    assert (gpu_time.busy_seconds(), gpu_time.idle_seconds()) == (pytest.approx(2), pytest.approx(5))


def test_what_was_told_as_a_sum_never_goes_back(instance: Instance, clock: Clock) -> None:
    gpu_time = GpuTime(instance)
    instance.set("ready_since", clock.now)
    clock.go(5)
    idle, busy = gpu_time.idle_seconds(), gpu_time.busy_seconds()
    instance.set("gpu_busy", busy + 1e-6)  # as after a race between two workers
    told = gpu_time.busy_seconds()
    instance.set("gpu_busy", busy)

    assert gpu_time.idle_seconds() == idle
    assert gpu_time.busy_seconds() == told > busy
