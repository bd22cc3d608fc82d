"""What the upstream says of its models is a list without paths, or an error."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UpstreamError
from app.models import without_paths

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "root", "id"]), inner)
    ),
    max_leaves=8,
)


@given(values | st.fixed_dictionaries({"data": st.lists(values, max_size=3)}))
def test_any_answer_becomes_a_list_without_paths_or_an_error(content: Any) -> None:
    try:
        listing = without_paths(json.dumps(content).encode())
    except UpstreamError:
        return
    assert all("root" not in card for card in listing["data"])
    assert isinstance(json.loads(msgspec.json.encode(listing)), dict)


@given(st.binary(max_size=50))
def test_any_bytes_become_a_list_or_an_error(raw: bytes) -> None:
    try:
        without_paths(raw)
    except UpstreamError:
        return
    assert b"data" in raw
