"""The look-up: which key counts, at which time, and that its cost is bounded."""

import time
from typing import Any

import pytest

from app.keys.records import KeyRecord, digest_of, read_entry
from app.keys.ring import Ring

KEY = "sk-unit-0123456789abcdef"


def ring_of(**fields: Any) -> Ring:
    return Ring.of([read_entry("client", {"key": KEY, **fields})])


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "active"),
        ({"expires": "2020-01-01T00:00:00Z"}, "expired"),
        ({"expires": "2999-01-01T00:00:00+02:00"}, "active"),
        ({"not_before": "2999-01-01T00:00:00Z"}, "not yet valid"),
        ({"not_before": "2020-01-01T00:00:00Z"}, "active"),
        ({"disabled": True}, "disabled"),
        ({"disabled": True, "expires": "2020-01-01T00:00:00Z"}, "disabled"),
    ],
)
def test_time_and_state_decide_whether_a_key_counts(fields: dict[str, Any], state: str) -> None:
    ring = ring_of(**fields)

    (record,) = ring.by_digest.values()
    assert record.state(time.time()) == state
    assert (ring.find(KEY.encode()) is not None) == (state == "active")


@pytest.mark.parametrize(("seconds", "is_active"), [(-0.001, True), (0.0, False), (0.001, False)])
def test_a_key_ends_at_its_very_moment(seconds: float, is_active: bool) -> None:
    record = KeyRecord("client", "k", digest_of(b"x"), expires=1000.0)

    assert record.is_active(1000.0 + seconds) == is_active


@pytest.mark.parametrize(("seconds", "is_active"), [(-0.001, False), (0.0, True), (0.001, True)])
def test_a_key_begins_at_its_very_moment(seconds: float, is_active: bool) -> None:
    record = KeyRecord("client", "k", digest_of(b"x"), not_before=1000.0)

    assert record.is_active(1000.0 + seconds) == is_active


def test_an_inactive_admin_key_still_makes_the_set_one_with_an_admin() -> None:
    assert ring_of(scopes=["admin"], disabled=True).has_admin
    assert not ring_of().has_admin


def test_a_key_beyond_the_length_limit_is_unknown() -> None:
    long = "k" * 512
    ring = Ring.of([read_entry("client", long)])

    assert ring.find(long.encode()) is not None
    assert ring.find(long.encode() + b"k") is None


def test_a_digest_of_a_key_that_is_too_long_opens_nothing() -> None:
    long = b"k" * 513
    ring = Ring.of([read_entry("client", {"digest": f"sha256:{digest_of(long)}"})])

    assert ring.find(long) is None


def test_a_ring_holds_no_key() -> None:
    assert KEY not in repr(ring_of(note=KEY))
