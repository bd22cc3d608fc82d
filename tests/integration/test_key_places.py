"""Which place of keys a command works on, and how it treats a file."""

import json
import os
import sys
from pathlib import Path

import pytest

from app.keys.records import digest_of
from launch.key_file import create_key_file
from launch.progress import StepFailed
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.keys_command import KeysCommand
from tests.keys_place import KeysPlace
from tests.secret_client import secret_settings

OLD = "sk-old-0123456789abcdef"


def test_writers_at_the_same_time_lose_nothing(place: KeysPlace) -> None:
    place.keys("create-secret")
    names = [f"writer-{number}" for number in range(6)]

    processes = [place.keys.start("add", "--name", name) for name in names]
    made = [process.communicate(timeout=60)[0].strip() for process in processes]

    assert sorted(record.name for record in place.parsed().records) == names
    assert {record.digest for record in place.parsed().records} == {digest_of(key.encode()) for key in made}


def test_a_place_has_to_be_named_and_only_one(tmp_path: Path) -> None:
    keys = KeysCommand()

    for arguments in (
        ["list"],
        ["list", "--file", "f", "--project", "p"],
        ["list", "--file", "f", "--secret", "s"],
    ):
        status, _, told = keys.run(*arguments)
        assert status == 2
        assert "--file" in told or "not both" in told


def test_a_file_that_is_typed_but_empty_is_no_secret() -> None:
    status, _, told = KeysCommand(GCP_PROJECT="p").run("add", "--file", "", "--name", "a")

    assert status == 2
    assert "--file is empty" in told


def test_what_is_typed_wins_over_what_is_set(tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text(json.dumps({"a": OLD}))
    (tmp_path / "typed.json").write_text(json.dumps({"b": OLD}))
    keys = KeysCommand(API_KEYS_FILE=str(tmp_path / "set.json"), GCP_PROJECT="p")

    assert [row["name"] for row in keys.listed()] == ["a"]
    assert (
        json.loads(keys("list", "--json", "--file", str(tmp_path / "typed.json")))["keys"][0]["name"] == "b"
    )


def test_a_secret_that_is_typed_wins_over_a_file_that_is_set(
    tmp_path: Path, secret_manager: FakeSecretManagerThread
) -> None:
    keys = KeysCommand(**secret_settings(secret_manager), API_KEYS_FILE=str(tmp_path / "keys.json"))

    keys("create-secret", "--secret", "other")
    keys("add", "--secret", "other", "--name", "a")

    assert len(secret_manager.fake.versions("my-project", "other")) == 1
    assert not (tmp_path / "keys.json").exists()


def test_a_link_in_the_folder_leads_the_command_nowhere(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    process = KeysCommand(API_KEYS_FILE=str(tmp_path / "keys.json")).start(
        "add", "--name", "a", "--from-stdin"
    )
    (tmp_path / f".keys.json.{process.pid}").symlink_to(victim)

    process.communicate(OLD, timeout=60)

    assert victim.read_text() == "precious"


def test_a_file_is_made_for_its_owner_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys = KeysCommand(API_KEYS_FILE=str(file))

    keys("add", "--name", "a")
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    keys("add", "--name", "b")

    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_a_linked_file_is_changed_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "keys.json").write_text(json.dumps({"a": OLD}))
    (tmp_path / "link.json").symlink_to(tmp_path / "real" / "keys.json")

    KeysCommand(API_KEYS_FILE=str(tmp_path / "link.json"))("add", "--name", "b")

    assert (tmp_path / "link.json").is_symlink()
    assert set(json.loads((tmp_path / "real" / "keys.json").read_text())) == {"a", "b"}


def test_the_key_file_is_its_owners_alone_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"

    key = create_key_file(path, Path(sys.executable))

    assert path.stat().st_mode & 0o777 == 0o600
    entry = json.loads(path.read_text())["local"]
    assert (entry["key"], entry["scopes"]) == (key, ["inference", "admin"])
    assert create_key_file(path, Path(sys.executable)) is None
    assert os.listdir(tmp_path) == ["keys.json"]


def test_a_key_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="its folder, does not exist"):
        create_key_file(tmp_path / "no" / "keys.json", Path(sys.executable))
