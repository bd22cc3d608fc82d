"""The start of an instance is told in phases."""

import time

import pytest

from app.instance import Instance
from app.settings import Settings
from app.startup import IMPORT, LOADING, PHASES, READY, WARM_UP, WEIGHTS, Startup


@pytest.fixture
def instance() -> Instance:
    return Instance()


def launched(seconds_ago: float, instance: Instance, expected: float = 90.0) -> Startup:
    settings = Settings(launched_at=time.time() - seconds_ago, model_load_seconds=expected)
    return Startup(settings, instance)


def test_it_begins_with_the_launch(instance: Instance) -> None:
    startup = launched(3, instance)

    assert startup.phase == "process"
    assert startup.seconds() == {"process": pytest.approx(3, abs=0.5)}
    assert startup.elapsed == pytest.approx(3, abs=0.5)


def test_a_phase_ends_where_the_next_begins(instance: Instance) -> None:
    startup = launched(10, instance)
    now = time.monotonic()
    for field, ago in (("import_since", 8), ("weights_since", 5), ("warm_up_since", 1), ("ready_since", 0.5)):
        instance.set(field, now - ago)

    assert startup.phase == READY
    assert startup.seconds() == {
        "process": pytest.approx(2, abs=0.2),
        IMPORT: pytest.approx(3),
        WEIGHTS: pytest.approx(4),
        WARM_UP: pytest.approx(0.5),
        READY: pytest.approx(0.5, abs=0.2),
    }


def test_a_phase_that_cannot_be_seen_is_left_out(instance: Instance) -> None:
    startup = launched(1, instance)
    startup.begin(LOADING)
    startup.begin(READY)

    assert list(startup.seconds()) == ["process", LOADING, READY]


def test_a_phase_begins_once(instance: Instance) -> None:
    startup = launched(1, instance)
    startup.begin(IMPORT)
    since = instance.get("import_since")

    startup.begin(IMPORT)

    assert instance.get("import_since") == since


def test_an_earlier_phase_does_not_come_back(instance: Instance) -> None:
    startup = launched(1, instance)
    startup.begin(WARM_UP)
    startup.begin(WEIGHTS)

    assert startup.phase == WARM_UP
    assert all(seconds >= 0 for seconds in startup.seconds().values())
    assert set(startup.seconds()) <= set(PHASES)


@pytest.mark.parametrize(
    ("elapsed", "expected", "left"),
    [(0, 90, 90), (30, 90, 60), (89.5, 90, 1), (100, 90, 25), (1, 0.5, 1)],
)
def test_what_is_left_is_estimated(instance: Instance, elapsed: float, expected: float, left: int) -> None:
    assert launched(elapsed, instance, expected).seconds_left() == pytest.approx(left, abs=1)


def test_a_launch_in_the_future_counts_as_now(instance: Instance) -> None:
    assert 0 <= launched(-100, instance).elapsed < 5
