"""The opencode.json that is written is the one that OpenCode 1.18 was tried with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from click.testing import CliRunner, Result

from app.commands import write_opencode_config
from app.opencode import FULL_WINDOW, SMALLEST_WINDOW, WindowTooSmall, opencode_config
from app.settings import Settings
from tests.local import ROOT

MODEL = "org/model-1"
URL = "https://gateway.example"


def models(*cards: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": list(cards)}


CARD = {"id": MODEL, "max_model_len": 32768}


@pytest.fixture
def upstream() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def run(*arguments: str, key: str = "sk-1") -> Result:
        options = ["--url", URL, "--output", str(tmp_path / "opencode.json"), *arguments]
        return CliRunner().invoke(write_opencode_config, options, env={"VLLM_API_KEY": key})

    return run


def provider(config: dict[str, Any]) -> dict[str, Any]:
    (found,) = config["provider"].values()
    return dict(found)


def test_the_key_is_named_and_not_written() -> None:
    options = provider(opencode_config(URL, MODEL, 32768))["options"]

    assert options["apiKey"] == "{env:VLLM_API_KEY}"
    assert options["headers"] == {"X-API-Key": "{env:VLLM_API_KEY}"}
    assert options["baseURL"] == f"{URL}/v1"


def test_limits_are_those_of_the_model() -> None:
    entry = provider(opencode_config(URL, MODEL, 131072))["models"][MODEL]

    assert entry["limit"] == {"context": 131072, "output": 32000}


def test_sampling_stands_where_opencode_reads_it() -> None:
    config = opencode_config(URL, MODEL, 32768, temperature=0.6, top_p=0.95)

    assert provider(config)["models"][MODEL]["options"] == {"temperature": 0.6, "top_p": 0.95}
    assert "temperature" not in provider(config)["options"]


def test_a_small_window_gets_the_slim_variant() -> None:
    slim = opencode_config(URL, MODEL, FULL_WINDOW - 1)

    assert slim["permission"]["task"] == "deny"
    assert "permission" not in opencode_config(URL, MODEL, FULL_WINDOW)


def test_a_window_that_nothing_fits_into_is_refused() -> None:
    with pytest.raises(WindowTooSmall):
        opencode_config(URL, MODEL, SMALLEST_WINDOW - 1)


def test_the_example_is_what_is_written_for_the_default_model() -> None:
    example = json.loads((ROOT / "examples" / "opencode.json").read_text())

    assert example == opencode_config(
        "https://GATEWAY", Settings().model_name, 131072, temperature=0.6, top_p=0.95
    )


def test_the_file_follows_the_gateways_models(
    write: Any, upstream: responses.RequestsMock, tmp_path: Path
) -> None:
    key = responses.matchers.header_matcher({"X-API-Key": "sk-1"})
    upstream.get(f"{URL}/v1/models", json=models(CARD), match=[key])

    result = write("--temperature", "0.2")

    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "opencode.json").read_text())
    assert written == opencode_config(URL, MODEL, 32768, temperature=0.2)


def test_a_file_that_is_there_is_kept(write: Any, upstream: responses.RequestsMock, tmp_path: Path) -> None:
    upstream.get(f"{URL}/v1/models", json=models(CARD))
    (tmp_path / "opencode.json").write_text("mine")

    assert "--force" in write().output
    assert (tmp_path / "opencode.json").read_text() == "mine"
    assert write("--force").exit_code == 0


def test_one_of_several_models_has_to_be_named(write: Any, upstream: responses.RequestsMock) -> None:
    upstream.get(f"{URL}/v1/models", json=models(CARD, {"id": "other", "max_model_len": 8192}))

    assert "org/model-1, other" in write().output
    assert write("--model", "other").exit_code == 0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [({"status": 401, "json": {"error": {"message": "No key."}}}, "401: No key."),
     ({"status": 503, "json": {"error": {"message": "It is starting."}}}, "503: It is starting."),
     ({"status": 502, "body": "<html>"}, "502: it gave no JSON"), ({"json": []}, "200: it gave no list"),
     ({"json": {"data": [{"id": 5}]}}, "it has none"), ({"json": models({"id": MODEL})}, "does not say"),
     ({"json": models({"id": MODEL, "max_model_len": 2048})}, "too small for OpenCode"),
     ({"body": requests.ConnectionError()}, "No gateway can be reached at https://gateway.example")],
)  # fmt: skip
def test_what_goes_wrong_is_said_in_a_sentence(
    write: Any, upstream: responses.RequestsMock, answer: dict[str, Any], expected: str
) -> None:
    upstream.get(f"{URL}/v1/models", **answer)

    result = write()

    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert expected in result.output
    assert "sk-1" not in result.output


def test_a_gateway_that_holds_the_request_too_long_is_told(
    write: Any, upstream: responses.RequestsMock
) -> None:
    upstream.get(f"{URL}/v1/models", body=requests.ReadTimeout())

    assert "may still be loading" in write().output


def test_a_place_that_cannot_be_written_is_told(
    write: Any, upstream: responses.RequestsMock, tmp_path: Path
) -> None:
    upstream.get(f"{URL}/v1/models", json=models(CARD))

    result = write("--output", str(tmp_path / "no" / "o.json"))

    assert "cannot be written: No such file or directory" in result.output


def test_without_a_key_nothing_is_asked(write: Any) -> None:
    assert "VLLM_API_KEY" in write(key=" ").output
