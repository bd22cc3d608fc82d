"""VLLM_EXTRA_ARGS cannot open vLLM, however it is spelled."""

import shlex

import pytest

from app.settings import SettingsError
from app.vllm_arguments import ALWAYS, CODE, WITHOUT_TRUST, check_extra_arguments

# As vLLM's parser takes them: both dashes, both ways to give a value, beginnings, fields of JSON, negations.
SPELLINGS = [
    "--host 0.0.0.0", "--host=0.0.0.0", "--hos 0.0.0.0", "--served_model_name x", "--served_model x",
    "--api-key k", "--trust-remote-code", "--trust_remote_code", "--trust-rem",
    "--trust-request-chat-templ", "--config /tmp/c.yaml", "--config=c.yaml", "--middleware m.M",
    "--middle m.M", "--middleware=m.M", "--profiler-config.profiler torch",
    "--profiler_config.profiler=torch", "--profiler-config '{}'", "--prof.profiler torch",
    "--no-disable-fastapi-docs", "--no-disable_fastapi_docs", "--no-disable-fast",
    "--kv-transfer-config.kv_connector_module_path x", "--kv-events-config '{}'",
    "--logging-config.log_level 1", "-n 2", "-n2", "-n=2", "-r1", "-dpa 10.0.0.1", "-dpa=10.0.0.1",
    "--seed 7 --tokens-only", "--seed=7 --enable-log-requests", "--allowed-origins '[\"*\"]'",
    "--allowed-media-domains a --root-path /x", "--max-logprobs=-1", "--tool-strict-level parameter",
]  # fmt: skip
HARMLESS = [
    "", "--seed 7", "--enforce-eager", "--enable-prefix-caching", "--no-enable-prefix-caching", "-tp 2",
    "-dp 2", "--reasoning-parser qwen3", "--reasoning_parser=qwen3", "--max-num-seqs 4",
    "--allowed-media-domains a b", "--hf-overrides '{\"a\": \"--host\"}'",
    "--chat-template-content-format openai", "--config-format hf", "--model-impl vllm",
    "--hf-overrides.num_hidden_layers -1", "--compilation-config.mode 3", "-O3", "-q awq",
    "--tokenizer-mode auto", "--data-parallel-size 2", "--enable-lora --lora-modules a=/b",
    "--structured-outputs-config.backend xgrammar", "--structured_outputs_config.backend=guidance",
]  # fmt: skip


def check(extra: str, *, trust: bool = False) -> None:
    check_extra_arguments(shlex.split(extra), trust_remote_code=trust)


@pytest.mark.parametrize("trust", [True, False])
@pytest.mark.parametrize("extra", SPELLINGS)
def test_what_opens_vllm_is_refused_in_every_spelling(extra: str, trust: bool) -> None:
    with pytest.raises(SettingsError, match="VLLM_EXTRA_ARGS may not hold '-"):
        check(extra, trust=trust)


@pytest.mark.parametrize("extra", HARMLESS)
def test_other_arguments_pass(extra: str) -> None:
    check(extra)


@pytest.mark.parametrize("name", WITHOUT_TRUST)
def test_code_that_is_not_vllms_takes_the_users_trust(name: str) -> None:
    with pytest.raises(SettingsError, match="TRUST_REMOTE_CODE"):
        check(f"{name} x")

    check(f"{name} x", trust=True)


@pytest.mark.parametrize("name", ALWAYS)
def test_a_refusal_is_one_sentence_that_names_the_argument(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check(f"{name}=sk-secret")

    assert str(caught.value) == f"VLLM_EXTRA_ARGS may not hold {name!r}: {ALWAYS[name]}."
    assert CODE not in ALWAYS.values()
