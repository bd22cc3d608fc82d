"""`usage --url`, asking what may be no gateway: a sentence each, and nothing that a terminal would obey."""

import re
from collections.abc import Callable

import pytest
import responses
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.accounts.command import show_usage

Ask = Callable[..., Result]
PARTS = ("since", "until", "rows", "totals", "instances", "source", "is_cut", "error", "message", "kept_in")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(PARTS), inner, max_size=9),
    max_leaves=12,
)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run the command against an answer of this content."""
    monkeypatch.setenv("VLLM_ADMIN_KEY", "sk-admin")

    def ask(
        content: object, *arguments: str, status: int = 200, url: str = "https://gateway.example"
    ) -> Result:
        with responses.RequestsMock() as server:
            server.get(f"{url}/admin/usage", json=content, status=status)
            return CliRunner().invoke(show_usage, ["--url", url, *arguments])

    return ask


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(content={"rows": []}, form=("--csv",), status=200)
@given(content=JSON, form=st.sampled_from([(), ("--csv",), ("--json",)]), status=st.sampled_from([200, 400]))
def test_whatever_is_answered_ends_in_a_sentence(
    ask: Ask, content: object, form: tuple[str, ...], status: int
) -> None:
    result = ask(content, *form, status=status)

    assert result.exit_code == 1
    assert result.output.startswith("Error: https://gateway.example ")


def test_the_reason_of_a_refusal_commands_no_terminal(ask: Ask) -> None:
    result = ask({"error": {"message": "No\x1b[2J."}}, status=403)

    assert re.search(r"answered 403: No.*\.", result.output)
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("url", "is_told"),
    [("http://gateway.example", True), ("http://127.0.0.1:8080", False), ("https://gateway.example", False)],
)
def test_a_key_that_passes_in_clear_is_told(ask: Ask, url: str, is_told: bool) -> None:
    assert ("passes in clear" in ask({}, url=url).output) == is_told


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_a_host_that_can_be_none_is_a_sentence(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("VLLM_ADMIN_KEY", "sk-admin")

    result = CliRunner().invoke(show_usage, ["--url", f"https://{host}"])

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: No gateway can be reached at https://{host} ")
