"""Where usage is kept: a path, a server or nowhere; and no password is ever shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts.place import FilePlace, ServerPlace, parse_place
from app.settings import SettingsError, load_settings

PASSWORD = "made-up-p@ss/word"
ADDRESS = "postgresql://ann:made-up-p%40ss%2Fword@db.example:5433/usage"


def test_a_path_is_a_file() -> None:
    assert parse_place("/var/lib/gateway/usage.db") == FilePlace("/var/lib/gateway/usage.db")
    assert parse_place("usage.db") == FilePlace("usage.db")


def test_off_is_nowhere() -> None:
    assert parse_place("off") is None


def test_an_address_is_a_server() -> None:
    place = parse_place(ADDRESS + "?sslmode=verify-full")

    assert place == ServerPlace("db.example", 5433, "usage", "ann", PASSWORD, None, "verify-full")


def test_the_socket_of_a_server_is_named_by_its_folder() -> None:
    place = parse_place("postgres://ann@/usage?host=/cloudsql/project:region:name")

    socket = "/cloudsql/project:region:name"
    assert place == ServerPlace("", 5432, "usage", "ann", None, socket, "prefer")


def test_neither_user_nor_password_is_in_what_a_line_of_the_log_names() -> None:
    place = parse_place(ADDRESS)

    assert str(place) == "postgresql://db.example:5433/usage"
    assert PASSWORD not in repr(place)


BAD = [
    "mysql://h/d", "sqlite:///usage.db", "folder/", "a\x00b", "postgresql://h/d", "postgresql://u@h",
    "postgresql:",
    "postgresql://u@/d", "postgresql://u@h/d?host=/x", "postgresql://u@/d?host=x", "postgresql://u@h:0x/d",
    "postgresql://u@h/d?sslmode=maybe", "postgresql://u@h/d?password=x", "postgresql://u@h/d#x",
    "postgresql://u@h/%00", "postgresql://u@h/d?x", "postgresql://u:made-up-%ff@h/d", "postgresql://u@[h/d",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_what_can_be_no_place_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="USAGE_DATABASE="):
        load_settings({"USAGE_DATABASE": text})


@pytest.mark.parametrize("rest", ["h:port/d", "h", "h/d?x=y", "h/w@rd/d", "h\x01"])
def test_a_refused_address_is_not_shown_wherever_its_password_is(rest: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"USAGE_DATABASE": f"postgresql://ann:se/cret@{rest}"})  # pragma: allowlist secret

    assert "cret" not in str(caught.value)
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg2://ann:se/cret@h/d",
        "jdbc:postgresql://h/d?user=ann&password=se/cret",
        "mysql:ann:se/cret/",
    ],
)
def test_an_address_of_another_kind_is_not_shown_either(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"USAGE_DATABASE": text})  # pragma: allowlist secret

    assert "cret" not in str(caught.value)


@given(st.text() | st.text("pogresql:/@?#[]%&=0123.off", max_size=40).map("postgresql://{}".format))
def test_any_text_is_a_place_or_refused(text: str) -> None:
    try:
        place = parse_place(text)
    except ValueError:
        return
    assert place is None or str(place)
