"""The origins that pages may call from, as a list of the operator's."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.origins import parse_origins

GOOD = (
    *("https://chat.example", "http://localhost:3000", "http://[::1]:8080", "https://a.b-c.example:8443"),
    *("tauri://localhost", "chrome-extension://abcdef", "http://host:443", "https://host:80"),
)
BARE = re.compile(r"[^\s/@?#%*A-Z]+://[^\s/@?#%*A-Z]+")


@pytest.mark.parametrize("origin", GOOD)
def test_what_browsers_send_as_an_origin_is_one(origin: str) -> None:
    assert parse_origins(origin) == {origin}


def test_a_list_has_commas_and_blanks_between() -> None:
    assert parse_origins(" https://a.example , http://b:1 ") == {"https://a.example", "http://b:1"}


def test_a_star_stands_alone() -> None:
    assert parse_origins("*") == {"*"}
    with pytest.raises(ValueError, match=r"\*"):
        parse_origins("*,https://a.example")


@given(st.text(st.sampled_from("htps:/a.1[]-_@?#%*, \tÄA\n"), max_size=24) | st.text(max_size=12))
def test_whatever_is_taken_has_a_scheme_a_host_and_no_more(text: str) -> None:
    try:
        origins = parse_origins(text)
    except ValueError:
        return
    assert origins == {"*"} or all(
        re.fullmatch(r"[^\s/@?#%*A-Z]+://[^\s/@?#%*A-Z]+", each) for each in origins
    )
