"""When the keys are read again: in time after a success, sooner and then later after failures."""

import json
from pathlib import Path

import pytest

from app.instance import Instance
from app.keys.file_store import FileStore
from app.keys.refresh import KeyRefresh
from app.keys.shared import SharedKeys

KEY = "sk-unit-0123456789abcdef"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def refresh_of(file: Path, seconds: float = 60.0) -> KeyRefresh:
    instance = Instance()
    return KeyRefresh(SharedKeys(FileStore(str(file)), instance), instance, seconds)


def test_the_next_reading_is_never_later_than_the_interval_and_spread_below_it(file: Path) -> None:
    file.write_text(json.dumps({"a": KEY}))
    refresh = refresh_of(file)

    pauses = [refresh.refresh() for _ in range(50)]

    assert 48 <= min(pauses) < max(pauses) <= 60
    assert max(pauses) - min(pauses) > 1


def test_after_failures_the_pause_doubles_from_one_second_to_thirty(file: Path) -> None:
    refresh = refresh_of(file)

    pauses = [refresh.refresh() for _ in range(12)]

    expected = [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30]
    assert all(0.8 * most <= pause <= most for pause, most in zip(pauses, expected, strict=True))


def test_a_short_interval_bounds_the_pause_after_a_failure_too(file: Path) -> None:
    refresh = refresh_of(file, seconds=0.5)

    assert max(refresh.refresh() for _ in range(5)) <= 0.5


def test_a_success_forgets_the_failures(file: Path) -> None:
    refresh = refresh_of(file)
    for _ in range(5):
        refresh.refresh()
    file.write_text(json.dumps({"a": KEY}))
    assert refresh.refresh() >= 48
    file.unlink()

    assert refresh.refresh() <= 1


def test_a_failure_is_logged_once_until_it_changes(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    refresh = refresh_of(file)
    for _ in range(5):
        refresh.refresh()
    file.write_text("{")
    for _ in range(5):
        refresh.refresh()

    reasons = [record.reason for record in caplog.records]  # type: ignore[attr-defined]
    assert len(reasons) == 2
    assert "does not exist" in reasons[0]
    assert "not one JSON object" in reasons[1]
