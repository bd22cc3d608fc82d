"""New keys: recognisable, unguessable, and a cut or mistyped one is told from a whole one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.keys.new_key import BASE62, PREFIX, has_wrong_checksum, make_key


def test_a_new_key_has_a_prefix_an_id_a_secret_and_a_checksum() -> None:
    key, key_id = make_key()

    match = re.fullmatch(r"vgw_([0-9A-Za-z]{8})_[0-9A-Za-z]{36}", key)
    assert match is not None
    assert key_id == f"k_{match[1]}"
    assert not has_wrong_checksum(key)


def test_a_thousand_new_keys_differ_in_id_and_secret() -> None:
    made = [make_key()[0] for _ in range(1000)]

    assert len({key.split("_")[1] for key in made}) == len({key.split("_")[2] for key in made}) == 1000


@given(st.integers(min_value=len(PREFIX) + 1, max_value=48), st.sampled_from(BASE62))
def test_one_wrong_character_is_noticed(position: int, character: str) -> None:
    key, _ = make_key()
    changed = key[:position] + character + key[position + 1 :]

    assert has_wrong_checksum(changed) == (changed != key and changed[12] == "_")


@pytest.mark.parametrize("cut", range(1, 36))
def test_a_cut_key_is_noticed(cut: int) -> None:
    assert has_wrong_checksum(make_key()[0][:-cut])


@pytest.mark.parametrize(
    "key", ["", "sk-abc", "vgw", "vgw_", "vgw_short_x", "xvgw_01234567_abc", "vgw-01234567-a"]
)
def test_keys_of_another_form_are_not_judged(key: str) -> None:
    assert not has_wrong_checksum(key)
