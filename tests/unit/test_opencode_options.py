"""The options of the commands for OpenCode: which addresses and values are any."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.opencode.config import Gateway
from app.opencode.options import read_gateways
from tests.opencode_command import CARD, MODEL, Written, models


@pytest.mark.parametrize("url", [
    "https://me:secret@gateway.example",  # pragma: allowlist secret
    "gateway.example", "ftp://gateway.example", "https://", "https://g:x",
    "https://g/?key=1", "https://g/#a", "openai-like=https://g", "opencode=https://g", "Big=https://g",
    "https://g/{env:HOME}", "https://[",
])  # fmt: skip
def test_an_address_that_is_none_is_refused(write: Written, url: str) -> None:
    result = write("--url", url)

    assert result.exit_code == 2
    assert "Invalid value for '--url'" in result.output
    assert "secret" not in result.output


@pytest.mark.parametrize("urls", [["a=https://x", "a=https://y"], ["https://x", "https://y", "2=https://z"]])
def test_two_gateways_do_not_share_a_name_or_a_variable(write: Written, urls: list[str]) -> None:
    result = write(*(word for url in urls for word in ("--url", url)))

    assert "two gateways would both have" in result.output


@given(st.text(alphabet="abz09-=:/.@?#{}_[] openai", max_size=30) | st.text(max_size=20))
def test_any_address_is_one_or_refused(text: str) -> None:
    command = click.Command("x")
    try:
        (gateway,) = read_gateways(click.Context(command), click.Option(["--url"]), [text])
    except click.BadParameter:
        return

    assert isinstance(gateway, Gateway)
    assert gateway.url.startswith(("http://", "https://"))
    assert not set("{}@?#") & set(gateway.url)
    assert not gateway.provider.startswith(("openai", "opencode"))


def test_a_key_that_would_pass_in_clear_is_told(write: Written) -> None:
    write.answer(url="http://10.0.0.7:8080", **models(CARD))
    write.answer(url="http://127.0.0.1:8080", **models(CARD))

    assert "pass in clear" in write("--url", "http://10.0.0.7:8080").output
    assert "pass in clear" not in write("--url", "http://127.0.0.1:8080", "--force").output


@pytest.mark.parametrize("arguments", [
    ("--agent-temperature", "build"), ("--agent-temperature", "build=3"), ("--option", "=1"),
    ("--temperature", "0.1", "--agent-temperature", "build=0.2"),
    ("--option", "temperature=0.1", "--agent-temperature", "build=0.2"),
])  # fmt: skip
def test_an_option_without_a_meaning_is_refused(write: Written, arguments: tuple[str, ...]) -> None:
    assert write(*arguments).exit_code == 2


def test_every_wish_reaches_the_file(write: Written) -> None:
    write.answer(**models(CARD))

    write("--agent-temperature", "build=0.2", "--reasoning", MODEL, "--cost", "0.5", "2",
          "--output-tokens", "1000")  # fmt: skip

    entry = write.config["provider"]["vllm-gateway"]["models"][MODEL]
    assert entry["cost"] == {"input": 0.5, "output": 2.0}
    assert (entry["reasoning"], entry["temperature"], entry["limit"]["output"]) == (True, True, 1000)
    assert write.config["agent"]["build"] == {"temperature": 0.2}
