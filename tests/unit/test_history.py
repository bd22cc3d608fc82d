"""The last hour: what one worker stores, every worker reads; rates and percentiles are differences."""

import multiprocessing

import pytest

from app.counts import LATENCY_COLUMNS, PLACES, USAGE_COLUMNS
from app.gpu_time import GpuTime
from app.instance import Instance
from app.load import Load
from app.status_page.history import SAMPLES, STEP_SECONDS, WINDOW_SAMPLES, History, step_of
from tests.unit.conftest import Clock

fork = multiprocessing.get_context("fork")


@pytest.fixture
def instance() -> Instance:
    return Instance()


@pytest.fixture
def history(instance: Instance, clock: Clock) -> History:
    clock.now = STEP_SECONDS * 1000.0
    return History(instance, Load(instance, 10, 1000), GpuTime(instance))


def count(instance: Instance, **numbers: float) -> None:
    """As if requests of a key had ended."""
    rows = instance.usage.slot(0)
    start = rows.start(("ann", "m"))
    for name, value in numbers.items():
        rows.cells[start + USAGE_COLUMNS.index(name)] += value


def observe(instance: Instance, name: str, bucket: int, times: int = 1) -> None:
    rows = instance.latencies.slot(0)
    assert rows.columns == LATENCY_COLUMNS
    rows.cells[rows.start(("/v1/chat/completions", "stream")) + PLACES[name] + bucket] += times


def take(history: History, clock: Clock, samples: int = 1) -> None:
    for _ in range(samples):
        history.store(history.measure())
        clock.go(STEP_SECONDS)


def test_a_rate_is_what_two_samples_differ_by(history: History, instance: Instance, clock: Clock) -> None:
    count(instance, requests=100)
    take(history, clock)
    count(instance, requests=20, errors=5, prompt_tokens=300, completion_tokens=50)
    take(history, clock)

    ((step, point),) = history.points(-1)

    assert step == 1001
    assert (point.requests, point.errors) == (2.0, 0.5)
    assert (point.prompt_tokens, point.completion_tokens) == (30.0, 5.0)


def test_a_point_stands_for_the_minute_before_it(history: History, instance: Instance, clock: Clock) -> None:
    for _ in range(2 * WINDOW_SAMPLES):
        take(history, clock)
        count(instance, requests=30)

    rates = [point.requests for _, point in history.points(-1)]

    assert rates == [3.0] * (2 * WINDOW_SAMPLES - 1)
    count(instance, requests=600)
    take(history, clock)
    *_, (_, last) = history.points(-1)
    assert last.requests == pytest.approx(13.0)


def test_percentiles_are_those_of_what_came_in_between(
    history: History, instance: Instance, clock: Clock
) -> None:
    observe(instance, "first_byte", 10, times=1000)
    take(history, clock)
    observe(instance, "first_byte", 0, times=4)
    take(history, clock)

    ((_, point),) = history.points(-1)

    assert point.first_byte == [pytest.approx(0.005), pytest.approx(0.0095), pytest.approx(0.0099)]
    assert point.inter_token == [None, None, None]


def test_only_points_behind_a_step_are_told(history: History, clock: Clock) -> None:
    take(history, clock, 10)

    assert [step for step, _ in history.points(1006)] == [1007, 1008, 1009]


def test_an_hour_is_kept_and_no_more(history: History, clock: Clock) -> None:
    take(history, clock, SAMPLES + 50)

    steps = [step for step, _ in history.points(-1)]

    assert 3600 <= (steps[-1] - steps[0]) * STEP_SECONDS < 3600 + 2 * STEP_SECONDS * WINDOW_SAMPLES
    assert steps == sorted(set(steps))


def test_a_pause_leaves_a_gap_and_not_a_rate(history: History, instance: Instance, clock: Clock) -> None:
    take(history, clock, 2)
    clock.go(600)
    count(instance, requests=1000)
    take(history, clock, 2)

    steps = [step for step, _ in history.points(-1)]

    assert steps == [1001, step_of(clock.now) - 1]


def test_what_was_stored_an_hour_ago_is_no_part_of_now(history: History, clock: Clock) -> None:
    take(history, clock, 3)
    clock.go(STEP_SECONDS * SAMPLES)

    assert history.samples(clock.now) == []
    assert history.now().requests == 0


def test_two_workers_that_sample_at_once_store_one_sample(history: History, clock: Clock) -> None:
    history.store(history.measure())
    clock.go(0.001)
    history.store(history.measure())

    assert len(history.samples(clock.now)) == 1


def test_what_is_in_flight_is_told_as_it_is(history: History, instance: Instance, clock: Clock) -> None:
    instance.requests[0], instance.at_upstream[0] = 3, 2

    now = history.now()

    assert (now.in_flight, now.at_upstream) == (3, 2)


def test_another_process_reads_what_one_stored(history: History, clock: Clock) -> None:
    child = fork.Process(target=take, args=(history, clock, 3))
    child.start()
    child.join(10)

    assert len(history.samples(clock.now + 3 * STEP_SECONDS)) == 3
