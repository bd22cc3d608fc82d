"""How a gateway is asked for its models: with which key, how long, and what is said when it has none."""

import time
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from app.opencode.commands import write_opencode_config
from tests.opencode_command import CARD, MODEL, OTHER, URL, Written, models


def loading(retry_after: str = "20") -> dict[str, Any]:
    error = {"message": "The model is starting (weights), about 20 s left."}
    return {"status": 503, "json": {"error": error}, "headers": {"Retry-After": retry_after}}


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made; the clock goes on by them."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(pauses))
    return pauses


def test_cloud_runs_access_control_gets_its_token(write: Written) -> None:
    headers = {"X-Serverless-Authorization": "Bearer eyJ.a.b", "X-API-Key": "sk-1"}
    match = [responses.matchers.header_matcher(headers)]
    write.answer(match=match, **models(CARD))

    assert "GATEWAY_IDENTITY_TOKEN is not set" in write("--iam").output
    assert write("--iam", GATEWAY_IDENTITY_TOKEN="eyJ.a.b").exit_code == 0
    assert "eyJ" not in write.place.read_text()


def test_an_adapter_has_the_window_of_its_model(write: Written) -> None:
    write.answer(**models(CARD, {"id": "lora", "parent": MODEL, "max_model_len": None}))

    write()

    assert write.config["provider"]["vllm-gateway"]["models"]["lora"]["limit"]["context"] == 32768


def test_a_window_that_is_not_told_can_be_given(write: Written) -> None:
    write.answer(**models({"id": MODEL}))

    assert "no model with a known window" in write().output
    assert write("--context", "32768").exit_code == 0


@pytest.mark.parametrize("name", ["{file:/etc/passwd}", "{env:HOME}", "a b", "../x", ""])
def test_a_name_that_opencode_would_replace_is_left_out(write: Written, name: str) -> None:
    write.answer(**models(CARD, {**OTHER, "id": name}))

    assert "whose name is none" in write().output
    assert write.models() == [MODEL]


def test_it_waits_for_a_model_that_is_loading_and_says_so(write: Written, slept: list[float]) -> None:
    for answer in (
        loading(),
        {"body": requests.ReadTimeout()},
        loading("soon"),
        loading("7200"),
        models(CARD),
    ):
        write.answer(**answer)

    result = write()

    assert result.exit_code == 0, result.output
    assert slept == [20, 0, 5, 59]
    assert "The model is starting (weights), about 20 s left. Asking again in 20 s." in result.output


def test_it_waits_no_longer_than_it_is_told(write: Written, slept: list[float]) -> None:
    write.answer(**loading())

    result = write("--wait", "50")

    assert result.exit_code == 1
    assert slept == [20, 20]
    assert "is not ready: The model is starting (weights)" in result.output


def test_a_refusal_that_waiting_does_not_mend_is_told_at_once(write: Written, slept: list[float]) -> None:
    write.answer(status=503, body="<html>")

    assert "503: it gave no JSON" in write().output
    assert slept == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [({"status": 401, "json": {"error": {"message": "No\x1b[31m key."}}},
      "401: No[31m key. The key is read from VLLM_API_KEY."),
     ({"status": 403, "body": "<html>"}, "403: it gave no JSON. Cloud Run's own access control wants --iam."),
     ({"status": 302, "headers": {"Location": "https://evil.example/"}}, "302: it gave no JSON"),
     ({"status": 502, "json": ["x"]}, "502: it gave no reason"), ({"json": []}, "200: it gave no list"),
     ({"body": "<html>"}, "200: it gave no JSON"), ({"json": {"data": [{"id": 5}]}}, "no model with a known"),
     ({"body": requests.ConnectionError()}, "No gateway can be reached at https://gateway.example")],
)  # fmt: skip
def test_what_goes_wrong_is_said_in_a_sentence(write: Written, answer: dict[str, Any], expected: str) -> None:
    write.answer(**answer)

    result = write()

    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert expected in result.output
    assert "sk-1" not in result.output


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_a_host_that_no_name_can_be_is_said_in_a_sentence(tmp_path: Path, host: str) -> None:
    # Without a scripted web: nothing is looked up, since the name cannot be written for that.
    arguments = ["--url", f"http://{host}", "--output", str(tmp_path / "opencode.json")]

    result = CliRunner().invoke(write_opencode_config, arguments, env={"VLLM_API_KEY": "sk-1"})

    assert result.exit_code == 1
    assert f"No gateway can be reached at http://{host}" in result.output


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8),
                    lambda e: st.lists(e, max_size=3) | st.dictionaries(
                        st.sampled_from(["data", "id", "parent", "max_model_len", "error"]), e)))  # fmt: skip
def test_whatever_a_gateway_lists_is_a_file_or_a_sentence(listing: Any) -> None:
    with Written(Path("-")) as write:
        write.answer(json={"data": listing} if isinstance(listing, list) else listing)

        result = write()

    assert result.exit_code in (0, 1)
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("key", [" ", "sk-with-an-…", "sk-\u00fc"])
def test_without_a_key_nothing_is_asked(write: Written, key: str) -> None:
    told = write(VLLM_API_KEY=key).output

    assert told.startswith("Error: VLLM_API_KEY ")
    assert f"set it to an API key of {URL}." in told
