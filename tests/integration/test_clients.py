"""docs/clients.md with what the tools of this checkout bring along; other clients are in tests/clients."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.test_clients import BY_ENVIRONMENT
from tests.clients_page import FIRST, Reader, gateway_of_callers, read_sections, words_for_a_wrong_key
from tests.fake_caller import FakeCaller
from tests.gateway import Gateway

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
# What the model server is asked for by each section.
LIGHT = {
    "curl": [
        *("/v1/models", CHAT, CHAT, "/v1/completions", "/v1/responses"),
        *(MESSAGES, f"{MESSAGES}/count_tokens", "/v1/embeddings"),
    ],
    "OpenAI SDK for Python": [
        *("/v1/models", "/v1/models", CHAT, CHAT, "/v1/completions", "/v1/responses", "/v1/responses"),
        *("/v1/embeddings", CHAT, CHAT),
    ],
    "Anthropic SDK": [f"{MESSAGES}/count_tokens", MESSAGES, MESSAGES],
}


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, FakeCaller]]:
    """The gateway of these tests, and its model."""
    with gateway_of_callers(tmp_path_factory.mktemp("callers")) as started:
        yield started


@pytest.fixture
def reader(callers: tuple[Gateway, FakeCaller], tmp_path: Path) -> Reader:
    return Reader(*callers, tmp_path, Path(sys.executable).parent)


@pytest.mark.parametrize("heading", LIGHT)
def test_what_the_page_says_works(reader: Reader, heading: str) -> None:
    reader.fake.calls = {"temperature": {"city": "Paris"}}

    ended = reader.follow(heading)

    assert ended.status == 0, ended.output
    assert "The capital of France is" in ended.output
    assert [target for target in reader.asked if target.startswith("/v1")] == LIGHT[heading]


@pytest.mark.parametrize("heading", LIGHT)
def test_the_page_says_what_a_wrong_key_shows(reader: Reader, heading: str) -> None:
    ended = reader.follow(heading, key="sk-wrong")

    assert ended.status != 0
    assert words_for_a_wrong_key(heading) in ended.output
    assert reader.asked == []


def test_no_block_of_the_page_is_left_out() -> None:
    run = {heading for headings in BY_ENVIRONMENT.values() for heading in headings}

    assert read_sections().keys() == {FIRST} | LIGHT.keys() | run
