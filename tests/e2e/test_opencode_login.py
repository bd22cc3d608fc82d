"""The real OpenCode connects by one command in an empty home folder."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import KEY
from tests.e2e.opencode_user import Stage, User, static_site
from tests.fake_vllm import FakeVllmThread

MODEL = "org/model-1"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("gateway"), MODEL, 32768) as running:
        yield running


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


@pytest.fixture
def site(tmp_path: Path, stage: Stage) -> Iterator[str]:
    """What `opencode-wellknown` writes, on a host that is not the gateway."""
    (tmp_path / "admin").mkdir()
    admin = User(tmp_path / "admin", VLLM_API_KEY=KEY)
    admin.flask("opencode-wellknown", "--url", stage.url, "--output", str(tmp_path / "site"))
    with static_site(tmp_path / "site") as address:
        yield address


def test_a_login_is_all_that_a_member_of_a_team_types(user: User, site: str, stage: Stage) -> None:
    status, shown = user.login(site, KEY)
    answered, said = user.opencode("run", "Say hello")

    assert (status, f"Logged into {site}" in shown) == (0, True), shown
    assert KEY not in shown
    assert (answered, "The capital of France is" in said) == (0, True), said
    assert stage.asked()[-1]["model"] == MODEL
    assert list(user.project.iterdir()) == []


def test_the_key_of_a_login_is_its_users_alone(user: User, site: str) -> None:
    user.login(site, KEY)

    stored = user.home / ".local/share/opencode/auth.json"
    assert json.loads(stored.read_text())[site]["token"] == KEY
    assert stored.stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_none_is_not_stored(user: User, site: str) -> None:
    _, shown = user.login(site, 'sk-"quoted"')

    assert "That is no API key." in shown
    assert not (user.home / ".local/share/opencode/auth.json").exists()


def test_a_key_in_the_environment_is_not_asked_for(user: User, site: str) -> None:
    user.environ["VLLM_API_KEY"] = KEY

    status, shown = user.opencode("auth", "login", site)

    assert (status, f"Logged into {site}" in shown) == (0, True), shown


def test_a_login_on_windows_has_a_folder_of_its_own(user: User, site: str) -> None:
    _, shown = user.opencode("auth", "login", f"{site}/windows")

    assert "Running `powershell" in shown
    assert 'Executable not found in $PATH: "powershell"' in shown


def test_the_other_command_is_enough_in_an_empty_folder(user: User, stage: Stage) -> None:
    user.environ["VLLM_API_KEY_TEAM"] = KEY
    user.flask("opencode-config", "--url", f"team={stage.url}")

    status, said = user.opencode("run", "Say hello")

    assert (status, "The capital of France is" in said) == (0, True), said


def test_an_id_token_and_the_key_go_into_fields_of_their_own(user: User) -> None:
    user.environ |= {"VLLM_API_KEY": KEY, "GATEWAY_IDENTITY_TOKEN": "eyJ.a.b"}
    with FakeVllmThread() as cloud_run:
        user.flask("opencode-config", "--url", cloud_run.url, "--iam")
        status, said = user.opencode("run", "--title", "t", "Say hello")

    assert status == 0, said
    for received in cloud_run.fake.received:
        headers = dict(received.headers)
        assert (headers["x-serverless-authorization"], headers["x-api-key"]) == ("Bearer eyJ.a.b", KEY)
    assert headers["authorization"] == f"Bearer {KEY}"
