"""vLLM is started with what its model, its safety and OpenCode need."""

from typing import Any

import pytest

from app.settings import Settings, SettingsError
from app.vllm_command import choose_parsers, vllm_arguments


def arguments(**settings: Any) -> list[str]:
    return vllm_arguments(Settings(**{"vllm_base_url": "unix:///run/v.sock", **settings}))


def value_of(option: str, given: list[str]) -> str:
    return given[given.index(option) + 1]


def test_the_served_name_is_exactly_the_models_name() -> None:
    given = arguments(model_name="Org/Model-1.5B", model_path="/models/m")

    assert value_of("--model", given) == "/models/m"
    assert value_of("--served-model-name", given) == "Org/Model-1.5B"


def test_vllm_works_at_as_many_requests_together_as_the_settings_say() -> None:
    assert value_of("--max-num-seqs", arguments(max_num_seqs=32)) == "32"


def test_how_many_requests_vllm_works_at_together_is_left_to_it_by_default() -> None:
    assert "--max-num-seqs" not in arguments()


def test_a_model_in_a_bucket_is_for_vllm_to_stream() -> None:
    assert value_of("--model", arguments(model_path="gs://bucket/folder")) == "gs://bucket/folder"


@pytest.mark.parametrize(
    ("url", "expected"),
    [("unix:///run/v.sock", ["--uds", "/run/v.sock"]),
     ("http://127.0.0.1:8000", ["--host", "127.0.0.1", "--port", "8000"]),
     ("http://localhost:9", ["--host", "localhost", "--port", "9"]),
     ("http://[::1]:8000", ["--host", "::1", "--port", "8000"])],
)  # fmt: skip
def test_vllm_listens_on_this_machine_only(url: str, expected: list[str]) -> None:
    given = arguments(vllm_base_url=url)

    start = given.index(expected[0])
    assert given[start : start + len(expected)] == expected


@pytest.mark.parametrize("url", ["http://10.0.0.1:8000", "https://127.0.0.1:8000", "http://0.0.0.0:8000"])
def test_an_address_for_others_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="VLLM_BASE_URL"):
        arguments(vllm_base_url=url)


@pytest.mark.parametrize(
    ("model", "tool", "reasoning"),
    [("Qwen/Qwen2.5-Coder-7B-Instruct", "hermes", None), ("Qwen/Qwen3-8B", "hermes", "qwen3"),
     ("Qwen/Qwen3-30B-A3B-Instruct-2507", "hermes", None), ("Qwen/Qwen3-4B-Thinking-2507", "hermes", "qwen3"),
     ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "qwen3_coder", None), ("Qwen/Qwen3.6-27B", "qwen3_coder", "qwen3"),
     ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "hermes", "deepseek_r1"),
     ("deepseek-ai/DeepSeek-R1", "deepseek_v3", "deepseek_r1"),
     ("deepseek-ai/DeepSeek-V3.1", "deepseek_v31", "deepseek_v3"),
     ("deepseek-ai/DeepSeek-V4", "deepseek_v4", "deepseek_v4"),
     ("meta-llama/Llama-3.1-8B-Instruct", "llama3_json", None),
     ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama4_pythonic", None),
     ("mistralai/Devstral-Small-2507", "mistral", None), ("openai/gpt-oss-20b", "openai", "openai_gptoss"),
     ("zai-org/GLM-4.5-Air", "glm45", "glm45"), ("zai-org/GLM-5", "glm47", "glm47"),
     ("moonshotai/Kimi-K2-Instruct", "kimi_k2", None), ("MiniMaxAI/MiniMax-M2", "minimax_m2", "minimax_m2"),
     ("HuggingFaceTB/SmolLM2-135M-Instruct", "hermes", None), ("qwen3-fans/Other-7B", "hermes", None),
     ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "hermes", "deepseek_r1"),
     ("NousResearch/Hermes-3-Llama-3.1-8B", "hermes", None), ("codellama/CodeLlama-34b", "hermes", None),
     ("moonshotai/Kimi-K2.5", "kimi_k2", "kimi_k2"), ("google/gemma-4-27b-it", "gemma4", "gemma4"),
     ("mistralai/Ministral-3-14B-Reasoning-2512", "mistral", "mistral")],
)  # fmt: skip
def test_parsers_follow_the_models_family(model: str, tool: str, reasoning: str | None) -> None:
    assert choose_parsers(Settings(model_name=model)) == (tool, reasoning)


def test_a_setting_overrides_the_family() -> None:
    settings = Settings(model_name="Qwen/Qwen3-8B", tool_call_parser="pythonic", reasoning_parser="none")

    assert choose_parsers(settings) == ("pythonic", None)


def test_without_a_tool_parser_tools_are_not_switched_on() -> None:
    given = arguments(tool_call_parser="none", reasoning_parser="none")

    assert not {"--enable-auto-tool-choice", "--tool-call-parser", "--reasoning-parser"} & set(given)


def test_tools_are_switched_on_with_a_parser() -> None:
    given = arguments(model_name="Qwen/Qwen3-8B")

    assert "--enable-auto-tool-choice" in given
    assert value_of("--tool-call-parser", given) == "hermes"
    assert value_of("--reasoning-parser", given) == "qwen3"


def test_extra_arguments_come_last_and_keep_their_quotes() -> None:
    given = arguments(max_model_len=4096, vllm_extra_args="--hf-overrides '{\"a b\": 1}' --max-model-len 9")

    assert given[-4:] == ["--hf-overrides", '{"a b": 1}', "--max-model-len", "9"]


def test_extra_arguments_cannot_open_vllm_to_others() -> None:
    with pytest.raises(SettingsError, match="VLLM_EXTRA_ARGS"):
        arguments(vllm_extra_args="--host 0.0.0.0")


def test_the_models_own_code_runs_only_with_the_setting() -> None:
    assert "--trust-remote-code" in arguments(trust_remote_code=True)
    assert "--trust-remote-code" not in arguments()


def test_media_of_other_hosts_are_fetched_only_where_it_is_allowed() -> None:
    given = arguments(vllm_extra_args="--allowed-media-domains media.example")

    assert given.index("none/") < given.index("media.example")  # vLLM takes the last
    assert "none/" not in arguments(allow_media_urls=True)


def test_vllm_gives_as_many_log_probabilities_as_may_be_asked_for() -> None:
    assert value_of("--max-logprobs", arguments(max_logprobs=5)) == "5"


def test_the_window_is_what_fits_unless_it_is_set() -> None:
    assert value_of("--max-model-len", arguments()) == "auto"
    assert value_of("--max-model-len", arguments(max_model_len=4096)) == "4096"


def test_what_vllm_tells_about_itself_is_switched_off() -> None:
    given = arguments()

    assert {"--disable-fastapi-docs", "--disable-uvicorn-access-log"} <= set(given)
    assert value_of("--fingerprint-mode", given) == "none"


def test_vllm_writes_json_where_the_gateway_does() -> None:
    assert value_of("--logging-config.formatter", arguments(log_format="json")) == "json"
    assert "--logging-config.formatter" not in arguments(log_format="text")
