"""`flask --app wsgi opencode-wellknown`: the files, and the command in them that asks for the key."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.opencode.commands import write_wellknown
from app.opencode.wellknown import COMMANDS
from tests.opencode_command import CARD, MODEL, OTHER, URL, Written, models


@pytest.fixture
def publish(tmp_path: Path) -> Iterator[Written]:
    """`opencode-wellknown`."""
    with Written(tmp_path / "site", write_wellknown) as command:
        yield command


def content(publish: Written, path: str = ".well-known/opencode") -> dict[str, Any]:
    return dict(json.loads((publish.place / path).read_text()))


def test_the_files_hold_the_configuration_and_no_key(publish: Written, write: Written) -> None:
    write.answer(**models(CARD))

    result = publish("--temperature", "0.2")
    write("--temperature", "0.2")

    assert result.exit_code == 0, result.output
    files = sorted(
        str(path.relative_to(publish.place)) for path in publish.place.rglob("*") if path.is_file()
    )
    assert files == [".well-known/opencode", "opencode.json", "windows/.well-known/opencode"]
    for path in files[0], files[2]:
        assert content(publish, path)["config"] == content(publish, "opencode.json") == write.config
        assert content(publish, path)["auth"]["env"] == "VLLM_API_KEY"
    assert not any("sk-1" in (publish.place / path).read_text() for path in files)


def test_it_says_where_the_folder_belongs(publish: Written) -> None:
    publish.answer(**models(CARD))

    told = " ".join(publish().output.split())

    assert "does not start where it cannot. So never on a gateway that scales to zero." in told
    assert "application/json" in told
    assert "opencode auth login https://their.site/windows" in told


def test_a_login_stores_one_key_for_every_gateway(publish: Written) -> None:
    publish.answer(**models(CARD))
    publish.answer(url="https://big.example", **models(OTHER))

    publish("--url", URL, "--url", "big=https://big.example")

    providers = content(publish)["config"]["provider"]
    assert {each["options"]["apiKey"] for each in providers.values()} == {"{env:VLLM_API_KEY}"}
    assert list(providers["big"]["models"]) == ["other"]


def test_files_that_are_there_are_kept(publish: Written) -> None:
    publish.answer(**models(CARD))
    publish()

    assert ".well-known/opencode exists; --force writes over it" in publish().output
    assert publish("--force", "--model", MODEL).exit_code == 0


SHELLS = st.sampled_from(["sh", "bash"])


def ask(key: str, shell: str = "sh") -> "subprocess.CompletedProcess[bytes]":
    environ = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "VLLM_API_KEY": key}
    return subprocess.run(
        [shell, *COMMANDS[""][1:]],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
    )


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\{}'), min_size=1),
    SHELLS,
)
@example("vgw_abc_0123456789", "sh")
@example("-n", "sh")
@example("%s$(id)`id`'*?[", "sh")
def test_a_key_of_the_environment_is_taken_as_it_is(key: str, shell: str) -> None:
    ended = ask(key, shell)

    assert (ended.returncode, ended.stdout) == (0, key.encode())


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8),
       st.sampled_from([*'"\\{} \n\t\x7fé', "\u202e"]), SHELLS)  # fmt: skip
def test_what_would_break_the_configuration_is_no_key(around: str, character: str, shell: str) -> None:
    ended = ask(around + character + around[::-1], shell)

    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"That is no API key." in ended.stderr


def test_a_range_of_characters_means_bytes() -> None:
    """In other locales, which this machine need not have, `[!-~]` follows the order of a dictionary."""
    assert COMMANDS[""][-1].startswith("LC_ALL=C\n")


def test_without_a_terminal_and_a_key_the_login_fails() -> None:
    ended = ask("")

    assert (ended.returncode, ended.stderr) == (1, b"Set VLLM_API_KEY, or log in from a terminal.\n")


def test_the_command_for_windows_makes_the_same_choices() -> None:
    """Not run here: PowerShell is needed for that."""
    script = COMMANDS["windows/"][-1]

    assert "$env:VLLM_API_KEY" in script
    assert """-notmatch '^[!-~]+$' -or $k -match '["\\\\{}]'""" in script
    assert "That is no API key." in script
