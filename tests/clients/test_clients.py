"""docs/clients.md with the clients that are too large, or too particular, for the tools of this checkout."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launch import environments
from launch.environments import AIDER, CLIENTS, DEV, Environment
from tests.clients_page import Reader, gateway_of_callers, words_for_a_wrong_key
from tests.fake_answers import MODEL
from tests.fake_caller import FakeCaller
from tests.gateway import Gateway, wait_until

pytestmark = pytest.mark.timeout(300)  # where `make` has not installed them before

BY_ENVIRONMENT = {
    DEV: ("OpenAI SDK for JavaScript", "Vercel AI SDK", "Claude Code", "Continue"),  # and npm
    CLIENTS: ("llm", "LangChain"),
    AIDER: ("aider", "LiteLLM as a library"),
}
ALL = [(environment, heading) for environment, headings in BY_ENVIRONMENT.items() for heading in headings]
PATH_OF = {"Claude Code": "file_path", "Continue": "filepath"}  # as their tools for writing name it


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, FakeCaller]]:
    """The gateway of these tests, and its model."""
    with gateway_of_callers(tmp_path_factory.mktemp("callers")) as started:
        yield started


def open_page(callers: tuple[Gateway, FakeCaller], folder: Path, environment: Environment) -> Reader:
    """A reader with the programs of the environment, which is made where it is not there."""
    if environment is AIDER and sys.version_info >= (3, 13):
        pytest.skip("aider runs on Python 3.12 at most")
    if environment is not DEV:  # that one runs this test
        environments.install(environment)
    return Reader(*callers, folder, environment.python.parent)


def posted(reader: Reader) -> list[dict[str, Any]]:
    """The bodies of what a client has asked, less what the gateway asks by itself."""
    return [each.json() for each in reader.fake.received if each.method == "POST" and each.request_id]


@pytest.mark.parametrize(("environment", "heading"), ALL, ids=[heading for _, heading in ALL])
def test_what_the_page_says_works(
    callers: tuple[Gateway, FakeCaller], tmp_path: Path, environment: Environment, heading: str
) -> None:
    reader = open_page(callers, tmp_path, environment)

    ended = reader.follow(heading)

    assert ended.status == 0, ended.output
    assert "The capital of France is" in ended.output
    assert {body["model"] for body in posted(reader)} == {MODEL}


@pytest.mark.parametrize(("environment", "heading"), ALL, ids=[heading for _, heading in ALL])
def test_the_page_says_what_a_wrong_key_shows(
    callers: tuple[Gateway, FakeCaller], tmp_path: Path, environment: Environment, heading: str
) -> None:
    reader = open_page(callers, tmp_path, environment)

    ended = reader.follow(heading, key="sk-wrong")

    assert words_for_a_wrong_key(heading) in ended.output
    assert posted(reader) == []


@pytest.mark.parametrize("heading", PATH_OF)
def test_an_agent_writes_a_file(callers: tuple[Gateway, FakeCaller], tmp_path: Path, heading: str) -> None:
    reader, file = open_page(callers, tmp_path, DEV), tmp_path / "hello.txt"
    reader.fake.calls = {"Write": {PATH_OF[heading]: str(file), "content": "Hello there"}}

    ended = reader.follow(heading)

    reader.fake.calls = {}
    assert ended.status == 0, ended.output
    assert file.read_text().strip() == "Hello there"


def test_claude_code_keeps_to_the_limits_that_it_is_told_and_asks_for_nothing_else(
    callers: tuple[Gateway, FakeCaller], tmp_path: Path
) -> None:
    reader = open_page(callers, tmp_path, DEV)
    gateway, line = callers[0], {"logger": "gateway.request"}
    before = len(gateway.log_lines(**line))

    ended = reader.follow("Claude Code")

    assert "context window of" not in ended.output
    assert {body["max_tokens"] for body in posted(reader)} == {4096}
    wait_until(lambda: len(gateway.log_lines(**line)) >= before + len(posted(reader)))
    told = {(it["method"], it["route"], it["status"]) for it in gateway.log_lines(**line)[before:]}
    assert told == {("POST", "/v1/messages", 200)}
