"""Which header names a page may send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cors import MAX_NAMES, NAMES, allowed_names

OPENAI_IN_A_BROWSER = (
    "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,"
    "x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout"
)
ANTHROPIC_IN_A_BROWSER = (
    "anthropic-beta,anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key"
)


@pytest.mark.parametrize("wanted", [OPENAI_IN_A_BROWSER, ANTHROPIC_IN_A_BROWSER])
def test_what_sdks_send_from_a_browser_may_be_sent(wanted: str) -> None:
    assert allowed_names(wanted) == wanted.replace(",", ", ")


def test_other_names_are_left_out() -> None:
    assert allowed_names("X-API-Key, Cookie, x-forwarded-for , *") == "x-api-key"
    assert allowed_names("") == ""


def test_a_name_is_told_once_and_not_endlessly_many() -> None:
    assert allowed_names("accept,Accept") == "accept"
    assert len(allowed_names(",".join(f"anthropic-{i}" for i in range(500))).split(",")) == MAX_NAMES


@given(st.text(st.characters(max_codepoint=255)) | st.lists(st.from_regex(NAMES)).map(",".join))
def test_whatever_is_asked_only_listed_names_are_answered(wanted: str) -> None:
    answered = allowed_names(wanted)

    assert answered == "" or all(NAMES.fullmatch(name) for name in answered.split(", "))
    assert len(answered) <= MAX_NAMES * 76
