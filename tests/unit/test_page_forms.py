"""A small form is read in one way or not at all."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadRequest
from app.status_page.forms import MAX_FIELDS, parse_form

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(texts, texts, max_size=MAX_FIELDS))
def test_what_a_browser_encodes_is_read_as_it_was(fields: dict[str, str]) -> None:
    assert parse_form(urlencode(fields).encode()) == fields


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_a_bad_request(raw: bytes) -> None:
    try:
        fields = parse_form(raw)
    except BadRequest:
        return
    assert len(fields) <= MAX_FIELDS


@pytest.mark.parametrize(
    "raw", [b"key=a&key=b", b"key=%ff", b"key=\xff", b"&".join([b"%d=" % n for n in range(99)])]
)
def test_what_has_two_meanings_or_none_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_form(raw)
