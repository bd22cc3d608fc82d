"""A session is its browser's own, of bounded life, and nothing without the key that began it."""

import re
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.keys.records import KeyRecord, digest_of
from app.keys.ring import Ring
from app.status_page.session import IDLE_SECONDS, LIFE_SECONDS, RENEW_SECONDS, Session, Sessions

BOSS = KeyRecord("boss", "op-1", digest_of(b"key-of-the-boss"), scopes=("admin",))
SESSIONS = Sessions()
MADE = SESSIONS.cookie_of(SESSIONS.begin(BOSS))


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The wall clock: its one item is the time."""
    now = [1_800_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


def test_a_cookie_is_read_as_the_session_that_it_was_made_of(sessions: Sessions) -> None:
    session = sessions.begin(BOSS)

    assert sessions.read(sessions.cookie_of(session)) == session


def test_a_cookie_never_looks_like_a_key(sessions: Sessions) -> None:
    assert re.fullmatch("[0-9a-f]{100,512}", sessions.cookie_of(sessions.begin(BOSS)))


def test_a_cookie_tells_nothing_of_the_key(sessions: Sessions) -> None:
    session = sessions.begin(BOSS)

    assert BOSS.digest[:16] not in str(session)
    assert Sessions().begin(BOSS).key_tag != session.key_tag


def test_a_session_ends_an_hour_after_its_last_use(sessions: Sessions, wall: list[float]) -> None:
    cookie = sessions.cookie_of(sessions.begin(BOSS))

    wall[0] += IDLE_SECONDS - 1
    assert sessions.read(cookie)
    wall[0] += 1
    assert sessions.read(cookie) is None


def test_a_session_that_is_used_goes_on_until_its_eight_hours_are_over(
    sessions: Sessions, wall: list[float]
) -> None:
    session = sessions.begin(BOSS)
    hours = 0.0
    while (found := sessions.read(sessions.cookie_of(session))) is not None:
        session = sessions.renewed(found) or found
        wall[0] += IDLE_SECONDS / 2
        hours += IDLE_SECONDS / 2

    assert hours == LIFE_SECONDS


def test_a_cookie_is_made_anew_once_a_minute(sessions: Sessions, wall: list[float]) -> None:
    session = sessions.begin(BOSS)

    wall[0] += RENEW_SECONDS - 1
    assert sessions.renewed(session) is None
    wall[0] += 1
    renewed = sessions.renewed(session)
    assert renewed is not None
    assert (renewed.id, renewed.begun, renewed.used) == (session.id, session.begun, wall[0])


def test_another_instance_does_not_know_the_cookie(sessions: Sessions) -> None:
    assert Sessions().read(sessions.cookie_of(sessions.begin(BOSS))) is None


def test_a_session_that_was_logged_out_is_over_for_every_copy_of_its_cookie(sessions: Sessions) -> None:
    mine, other = sessions.begin(BOSS), sessions.begin(BOSS)

    sessions.end(mine)

    assert sessions.read(sessions.cookie_of(mine)) is None
    assert sessions.read(sessions.cookie_of(other)) == other


@pytest.mark.parametrize(
    "change",
    [{"disabled": True}, {"expires": 1.0}, {"scopes": ("inference",)}, {"digest": digest_of(b"another")}],
    ids=["disabled", "expired", "no admin any more", "replaced"],
)
def test_a_session_ends_with_its_key(sessions: Sessions, change: dict[str, object]) -> None:
    session = sessions.begin(BOSS)
    assert sessions.key_of(session, Ring.of([BOSS])) == BOSS

    assert sessions.key_of(session, Ring.of([msgspec.structs.replace(BOSS, **change)])) is None


def test_a_key_that_expires_ends_its_sessions_at_that_moment(sessions: Sessions, wall: list[float]) -> None:
    ring = Ring.of([msgspec.structs.replace(BOSS, expires=wall[0] + 5)])
    session = sessions.begin(BOSS)

    assert sessions.key_of(session, ring)
    wall[0] += 5
    assert sessions.key_of(session, ring) is None


def test_a_form_token_is_that_of_its_own_session(sessions: Sessions) -> None:
    mine, other = sessions.begin(BOSS), sessions.begin(BOSS)

    assert sessions.is_token(mine, sessions.token_of(mine))
    assert not sessions.is_token(mine, sessions.token_of(other))
    assert not sessions.is_token(mine, "")


def test_a_session_from_the_future_does_not_count() -> None:
    now = time.time()

    assert not Session("00" * 16, "tag", now + 3600, now + 3600).is_live(now)


@given(st.text(max_size=200) | st.builds(lambda at, new: MADE[:at] + new + MADE[at + 1 :],
                                         st.integers(0, len(MADE)), st.text(max_size=3)))  # fmt: skip
def test_what_was_not_signed_here_is_no_other_session(cookie: str) -> None:
    # Some bits and characters of a base64 text mean nothing.
    assert SESSIONS.read(cookie) in (None, SESSIONS.read(MADE))


@given(st.text(max_size=40))
def test_no_text_is_a_token(text: str) -> None:
    assert not SESSIONS.is_token(SESSIONS.begin(BOSS), text)
