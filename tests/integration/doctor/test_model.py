"""Each fault of the model server is named, and a weak model is none of the deployment."""

import json

import pytest

from tests.examined import CapableVllm, examine, listed
from tests.gateway import Gateway


def test_the_window_is_measured_by_what_opencode_sends(url: str, model: CapableVllm) -> None:
    for window, status, code in (
        (4096, 1, "window_too_small"),
        (8192, 0, "window_small"),
        (None, 0, "window_unknown"),
    ):
        model.models = listed(max_model_len=window)

        found = examine(url)

        assert (found.status, found.troubles) == (status, [code])


def test_a_server_without_a_model_is_named(url: str, model: CapableVllm) -> None:
    model.models = (200, b'{"object": "list", "data": []}')

    assert examine(url).troubles == ["no_models"]


NO_PARSER = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
AS_TEXT = '<tool_call>\n{"name": "read_file", "arguments": {"path": "README.md"}}\n</tool_call>'


def test_a_server_that_takes_no_tools_is_named(url: str, model: CapableVllm) -> None:
    error = {"message": NO_PARSER, "type": "BadRequestError", "param": None, "code": 400}
    model.tools_refusal = json.dumps({"error": error})

    found = examine(url)

    assert (found.status, found.troubles) == (1, ["tools_off"])


def test_tools_that_are_refused_for_another_reason_are_told_with_it(url: str, model: CapableVllm) -> None:
    model.tools_refusal = json.dumps({"error": {"message": "No grammar.", "code": 400}})

    found = examine(url)

    assert (found.status, found.troubles) == (1, ["tools_refused"])
    assert "No grammar." in found.finding("tools")["text"]


@pytest.mark.parametrize("said", [AS_TEXT, '{"name": "read_file", "parameters": {"path": "README.md"}}'])
def test_a_call_that_comes_as_text_is_named(url: str, model: CapableVllm, said: str) -> None:
    model.deltas = [{"content": piece} for piece in (said[:20], said[20:])]
    model.forced = [{"content": "Well."}]

    found = examine(url)

    assert (found.status, found.troubles) == (1, ["tools_as_text"])


def test_a_fault_that_is_known_is_only_warned_of(url: str, model: CapableVllm) -> None:
    model.deltas = [{"content": AS_TEXT}]
    model.forced = [{"content": "Well."}]

    found = examine(url, "--accept", "tools_as_text", "--accept", "no_models")

    assert (found.status, found.troubles) == (0, ["tools_as_text"])
    assert found.finding("tools")["verdict"] == "warning"


def test_a_fault_is_one_though_another_is_known(url: str, model: CapableVllm) -> None:
    model.models = listed(max_model_len=4096)

    assert examine(url, "--accept", "tools_as_text").status == 1


def test_a_call_without_its_name_is_named(url: str, model: CapableVllm) -> None:
    model.deltas = [{"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}]

    assert examine(url).troubles == ["tool_call_broken"]


def test_a_model_that_only_talks_of_tools_is_no_fault_of_the_deployment(url: str, model: CapableVllm) -> None:
    model.deltas = [{"content": 'I would use read_file, as in {"name": "read_file"}.'}]
    assert examine(url).troubles == ["tools_not_called"]

    model.forced = model.deltas
    found = examine(url)

    assert (found.status, found.troubles) == (0, ["tools_unproven"])


def test_a_call_that_comes_as_text_only_when_it_must_is_named(url: str, model: CapableVllm) -> None:
    model.deltas, model.forced = [{"content": "Well."}], [{"content": AS_TEXT}]

    assert examine(url).troubles == ["tools_as_text"]


@pytest.mark.parametrize("said", ["<think>\nThe word is", "The user wants a word.\n</think>\n\nready"])
def test_thinking_in_the_answer_is_named(url: str, model: CapableVllm, said: str) -> None:
    model.text = said + " one two three four five six seven eight"

    found = examine(url)

    assert (found.status, found.troubles) == (1, ["think_in_text"])


def test_a_model_server_that_dies_in_its_answer_is_named(
    url: str, model: CapableVllm, gateway: Gateway
) -> None:
    model.defaults = {"events": 20, "finish_reason": None}

    found = examine(url)

    assert (found.status, found.troubles) == (1, ["stream_error"])
    assert "upstream connection was lost" in found.finding("stream")["text"]
    assert gateway.log_line(request_id=found.finding("stream")["request_id"])["outcome"] == "upstream_lost"
