"""What an opencode.json holds: as OpenCode 1.18 was tried with it."""

import json
from typing import Any

import pytest

from app.opencode.config import FULL_WINDOW, Gateway, Model, Wishes, choose_variant, opencode_config
from app.settings import Settings
from tests.local import ROOT

URL = "https://gateway.example"
MODEL = "org/model-1"


def one(window: int = 32768, **wishes: Any) -> dict[str, Any]:
    return opencode_config([Gateway(URL, [Model(MODEL, window)])], Wishes(**wishes))


def provider(config: dict[str, Any]) -> dict[str, Any]:
    (found,) = config["provider"].values()
    return dict(found)


def entry(config: dict[str, Any]) -> dict[str, Any]:
    return dict(provider(config)["models"][MODEL])


def test_the_key_is_named_and_not_written() -> None:
    options = provider(one())["options"]

    assert options["apiKey"] == "{env:VLLM_API_KEY}"
    assert options["headers"] == {"X-API-Key": "{env:VLLM_API_KEY}"}
    assert options["baseURL"] == f"{URL}/v1"


@pytest.mark.parametrize(("window", "wished", "output"), [(131072, 32000, 32000), (32768, 32000, 8192),
                                                          (32768, 1000, 1000)])  # fmt: skip
def test_limits_are_those_of_the_model(window: int, wished: int, output: int) -> None:
    limit = entry(one(window, output_tokens=wished))["limit"]

    assert limit == {"context": window, "output": output}


def test_sampling_stands_where_opencode_reads_it() -> None:
    config = one(options={"temperature": 0.6, "top_p": 0.95, "top_k": 20})

    assert entry(config)["options"] == {"temperature": 0.6, "top_p": 0.95, "top_k": 20}
    assert set(provider(config)["options"]) == {"baseURL", "apiKey", "headers"}


def test_what_nobody_asked_for_is_not_there() -> None:
    assert set(entry(one())) == {"name", "limit"}
    assert set(one()) == {"$schema", "model", "small_model", "provider"}


def test_a_temperature_of_one_agent_is_allowed_by_the_model() -> None:
    config = one(temperatures={"build": 0.2})

    assert config["agent"] == {"build": {"temperature": 0.2}}
    assert entry(config)["temperature"] is True


def test_only_the_models_that_think_are_said_to() -> None:
    gateway = Gateway(URL, [Model(MODEL, 32768), Model("other", 32768)])

    models = provider(opencode_config([gateway], Wishes(reasoning=frozenset(["other"]))))["models"]

    assert (models[MODEL].get("reasoning"), models["other"]["reasoning"]) == (None, True)


def test_a_price_is_for_a_million_tokens() -> None:
    assert entry(one(cost=(0.5, 2.0)))["cost"] == {"input": 0.5, "output": 2.0}


@pytest.mark.parametrize(("wished", "window", "variant"), [
    ("auto", FULL_WINDOW, "full"), ("auto", FULL_WINDOW - 1, "slim"),
    ("full", FULL_WINDOW - 1, "full"), ("slim", FULL_WINDOW, "slim"),
])  # fmt: skip
def test_the_variant_follows_the_window_unless_it_is_forced(wished: str, window: int, variant: str) -> None:
    assert choose_variant(wished, window) == variant
    assert ("permission" in one(window, variant=wished)) is (variant == "slim")


def test_the_slim_variant_keeps_its_prompt_beside_a_temperature() -> None:
    agents = one(8192, temperatures={"build": 0.2})["agent"]

    assert agents["build"]["temperature"] == 0.2
    assert agents["build"]["prompt"].startswith("You write code.")
    assert agents["title"] == {"disable": True}
    assert "temperature" not in one(8192)["agent"]["build"]


def test_each_of_several_gateways_has_its_own_key() -> None:
    gateways = [
        Gateway(URL, [Model(MODEL, 32768)]),
        Gateway("https://big.example", [Model("big", 65536)], "big", "VLLM_API_KEY_BIG"),
    ]

    config = opencode_config(gateways, Wishes(small_model="big/big"))

    assert list(config["provider"]) == ["vllm-gateway", "big"]
    assert config["provider"]["big"]["options"]["headers"] == {"X-API-Key": "{env:VLLM_API_KEY_BIG}"}
    assert (config["model"], config["small_model"]) == (f"vllm-gateway/{MODEL}", "big/big")


def test_an_id_token_stands_beside_the_key() -> None:
    options = provider(one(iam=True))["options"]

    assert options["headers"] == {
        "X-API-Key": "{env:VLLM_API_KEY}",
        "X-Serverless-Authorization": "Bearer {env:GATEWAY_IDENTITY_TOKEN}",
    }
    assert options["apiKey"] == "{env:VLLM_API_KEY}"


def test_the_example_is_what_is_written_for_the_default_model() -> None:
    example = json.loads((ROOT / "examples" / "opencode.json").read_text())
    gateway = Gateway("https://GATEWAY", [Model(Settings().model_name, 131072)])

    assert example == opencode_config([gateway], Wishes(options={"temperature": 0.6, "top_p": 0.95}))
