"""`flask --app wsgi opencode-config`: what it writes, and says to people."""

import json
from pathlib import Path
from typing import Any

import pytest
import responses

from app.opencode.config import SMALLEST_WINDOW
from tests.opencode_command import CARD, MODEL, OTHER, SMALL, TINY, URL, Written, models


def test_the_file_follows_the_gateways_models(write: Written) -> None:
    key = responses.matchers.header_matcher({"X-API-Key": "sk-1"})
    write.answer(match=[key], **models(CARD))

    result = write("--temperature", "0.2", "--top-p", "0.9", "--option", "top_k=20", "--option", "user=me")

    assert result.exit_code == 0, result.output
    entry = write.config["provider"]["vllm-gateway"]["models"][MODEL]
    assert entry["limit"]["context"] == 32768
    assert entry["options"] == {"temperature": 0.2, "top_p": 0.9, "top_k": 20, "user": "me"}
    assert "sk-1" not in write.place.read_text() + result.output


def test_a_file_that_is_there_is_kept(write: Written) -> None:
    write.answer(**models(CARD))
    write.place.write_text("mine")

    assert "--force" in write().output
    assert write.place.read_text() == "mine"
    assert write("--force").exit_code == 0
    assert write.models() == [MODEL]


def test_the_standard_output_gets_the_file_alone(write: Written) -> None:
    write.answer(**models(CARD))

    result = write("--output", "-")

    assert json.loads(result.stdout)["model"] == f"vllm-gateway/{MODEL}"
    assert "reads the key from VLLM_API_KEY" in result.stderr


def test_all_models_are_taken_unless_some_are_named(write: Written) -> None:
    write.answer(**models(CARD, OTHER, {**OTHER, "id": "third"}))

    write()
    everything = write.models()
    write("--force", "--model", "third", "--model", MODEL, "--small-model", MODEL)

    assert everything == [MODEL, "other", "third"]
    assert write.models() == ["third", MODEL]
    assert write.config["model"] == "vllm-gateway/third"
    assert write.config["small_model"] == f"vllm-gateway/{MODEL}"


def test_a_model_that_is_not_there_is_told_with_those_that_are(write: Written) -> None:
    write.answer(**models(CARD, OTHER))

    assert "No gateway has the model nope; there are: org/model-1, other." in write("--model", "nope").output


def test_several_gateways_are_asked_each_with_its_key(write: Written) -> None:
    for host, key, card in ((URL, "sk-1", CARD), ("https://big.example", "sk-2", OTHER)):
        match = [responses.matchers.header_matcher({"X-API-Key": key})]
        write.answer(url=host, match=match, **models(card))

    result = write("--url", URL, "--url", "big-one=https://big.example/v1/", VLLM_API_KEY_BIG_ONE="sk-2")

    assert result.exit_code == 0, result.output
    assert write.models("vllm-gateway") == [MODEL]
    assert write.models("big-one") == ["other"]
    options = write.config["provider"]["big-one"]["options"]
    assert (options["baseURL"], options["apiKey"]) == (
        "https://big.example/v1",
        "{env:VLLM_API_KEY_BIG_ONE}",
    )
    assert "VLLM_API_KEY, VLLM_API_KEY_BIG_ONE" in result.output


def test_one_of_the_same_models_is_named_with_its_gateway(write: Written) -> None:
    for host in (URL, "https://big.example"):
        write.answer(url=host, **models(CARD))

    write("--url", URL, "--url", "big=https://big.example", "--model", f"big/{MODEL}", VLLM_API_KEY_BIG="k")

    assert list(write.config["provider"]) == ["big"]


def test_the_first_models_window_chooses_the_variant(write: Written) -> None:
    write.answer(**models(CARD, SMALL, TINY))

    told = write().output
    full = write.config
    told_slim = write("--force", "--model", "small").output

    assert "permission" not in full
    assert "small has a window of 8192 tokens, too small for OpenCode (--variant slim would fit)" in told
    assert "tiny has a window of 2048 tokens, too small for OpenCode; it is left out" in told
    assert write.models() == ["small"]
    assert "permission" in write.config
    assert "tools are switched off" in told_slim
    assert "enough for small tasks only" in told_slim


def test_the_slim_variant_takes_small_models_along(write: Written) -> None:
    write.answer(**models(CARD, SMALL, TINY))

    write("--variant", "slim")

    assert write.models() == [MODEL, "small"]


@pytest.mark.parametrize(("cards", "arguments"), [
    ([TINY], []), ([CARD, TINY], ["--model", "tiny"]),
    ([CARD, SMALL], ["--model", MODEL, "--model", "small"]),
    ([SMALL], ["--variant", "full"]), ([{**TINY, "max_model_len": SMALLEST_WINDOW - 1}], []),
])  # fmt: skip
def test_a_window_that_nothing_fits_into_is_refused(
    write: Written, cards: list[Any], arguments: list[str]
) -> None:
    write.answer(**models(*cards))

    result = write(*arguments)

    assert result.exit_code == 1
    assert "set MAX_MODEL_LEN to" in result.output
    assert not write.place.exists()


def test_a_place_that_cannot_be_written_is_told(write: Written, tmp_path: Path) -> None:
    write.answer(**models(CARD))
    (tmp_path / "no").write_text("a file")

    result = write("--output", str(tmp_path / "no" / "o.json"))

    assert f"{tmp_path}/no/o.json cannot be written: " in result.output


def test_a_place_that_cannot_even_be_looked_at_is_told(write: Written, tmp_path: Path) -> None:
    write.answer(**models(CARD))
    place = tmp_path / ("x" * 300)

    assert f"{place} cannot be written: " in write("--output", str(place)).output
