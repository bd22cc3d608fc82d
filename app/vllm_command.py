"""vLLM's arguments, from the settings."""

import re
import shlex
from urllib.parse import urlsplit

from app.addresses import LOOPBACK
from app.settings import Settings, SettingsError
from app.vllm_arguments import NO_MEDIA_DOMAIN, check_extra_arguments

SHUTDOWN_SECONDS = 0  # the gateway's streams have ended by then, and nobody else can reach it

# Which parsers read a model's tool calls and its thinking, by the model's name without its owner; the first
# match counts. Names are vLLM 0.32's. Without a tool parser vLLM refuses every request of OpenCode.
FAMILIES: tuple[tuple[str, str, str | None], ...] = (
    (r"hermes", "hermes", None),
    (r"deepseek-r1-(distill|0528-qwen)", "hermes", "deepseek_r1"),
    (r"qwen3[-_.]?coder", "qwen3_coder", None),
    (r"qwen3\.[5-9]", "qwen3_coder", "qwen3"),
    (r"qwen3.*instruct", "hermes", None),
    (r"qwen3", "hermes", "qwen3"),
    (r"qwq", "hermes", "deepseek_r1"),
    (r"deepseek-r1", "deepseek_v3", "deepseek_r1"),
    (r"deepseek-v3\.2", "deepseek_v32", "deepseek_v3"),
    (r"deepseek-v3\.1", "deepseek_v31", "deepseek_v3"),
    (r"deepseek-v3", "deepseek_v3", None),
    (r"deepseek-v4\.1", "deepseek_v41", "deepseek_v41"),
    (r"deepseek-v4", "deepseek_v4", "deepseek_v4"),
    (r"llama-?4(?!\d)", "llama4_pythonic", None),
    (r"llama-?3(?!\d)", "llama3_json", None),
    (r"magistral|mistral.*reasoning|ministral.*reasoning", "mistral", "mistral"),
    (r"mistral|mixtral|devstral|codestral|ministral", "mistral", None),
    (r"gpt-oss", "openai", "openai_gptoss"),
    (r"glm-4\.[56]", "glm45", "glm45"),
    (r"glm-(4\.7|[5-9])", "glm47", "glm47"),
    (r"kimi-k3", "kimi_k3", "kimi_k3"),
    (r"kimi-k2(\.[5-9]|.*thinking)", "kimi_k2", "kimi_k2"),
    (r"kimi-k2", "kimi_k2", None),
    (r"minimax-m3", "minimax_m3", "minimax_m3"),
    (r"minimax-m2", "minimax_m2", "minimax_m2"),
    (r"gemma-?4", "gemma4", "gemma4"),
    (r"nemotron-(3|v3)", "qwen3_coder", "nemotron_v3"),
    (r"mimo", "mimo", "mimo"),
    (r"ernie-4\.5", "ernie45", "ernie45"),
    (r"hunyuan-a13b", "hunyuan_a13b", "hunyuan_a13b"),
    (r"seed-oss", "seed_oss", "seed_oss"),
    (r"granite-4", "granite4", None),
    (r"granite-3", "granite", None),
    (r"phi-4-mini", "phi4_mini_json", None),
)
DEFAULT_TOOL_CALL_PARSER = "hermes"


def vllm_arguments(settings: Settings) -> list[str]:
    """What follows `python -m vllm.entrypoints.openai.api_server`.

    vLLM listens on a Unix socket or on loopback only, under exactly the name that clients use.
    Raises SettingsError when VLLM_BASE_URL is no such place, or VLLM_EXTRA_ARGS would open it.
    """
    extra = shlex.split(settings.vllm_extra_args)
    check_extra_arguments(extra, trust_remote_code=settings.trust_remote_code)
    tool_call_parser, reasoning_parser = choose_parsers(settings)
    arguments = [
        *("--model", settings.model_path or settings.model_name),
        *("--served-model-name", settings.model_name),
        *_listen(settings.vllm_base_url),
        *("--max-model-len", str(settings.max_model_len or "auto")),  # auto: what fits into memory
        *("--shutdown-timeout", str(SHUTDOWN_SECONDS)),
        "--disable-fastapi-docs",
        "--disable-uvicorn-access-log",  # the gateway writes a line for each request
        *("--fingerprint-mode", "none"),  # else each answer tells vLLM's version
        "--enable-prompt-tokens-details",  # cached tokens in `usage`
        *("--max-logprobs", str(settings.max_logprobs)),
    ]
    if settings.max_num_seqs is not None:
        arguments += ["--max-num-seqs", str(settings.max_num_seqs)]
    if not settings.allow_media_urls:
        arguments += ["--allowed-media-domains", NO_MEDIA_DOMAIN]
    if settings.trust_remote_code:
        arguments.append("--trust-remote-code")
    if tool_call_parser:
        arguments += ["--enable-auto-tool-choice", "--tool-call-parser", tool_call_parser]
    if reasoning_parser:
        arguments += ["--reasoning-parser", reasoning_parser]
    if settings.log_format == "json":
        arguments += ["--logging-config.formatter", "json"]
    return arguments + extra


def choose_parsers(settings: Settings) -> tuple[str | None, str | None]:
    """The tool-call and the reasoning parser: what the settings say (`none`: without), else by family."""
    name = settings.model_name.rsplit("/", 1)[-1].lower()
    known = ((tool, reasoning) for pattern, tool, reasoning in FAMILIES if re.search(pattern, name))
    tool, reasoning = next(known, (DEFAULT_TOOL_CALL_PARSER, None))
    return _override(settings.tool_call_parser, tool), _override(settings.reasoning_parser, reasoning)


def _override(given: str | None, known: str | None) -> str | None:
    if given is None:
        return known
    return None if given == "none" else given


def _listen(base_url: str) -> list[str]:
    parts = urlsplit(base_url)
    if parts.scheme == "unix":
        return ["--uds", parts.path]
    if parts.scheme == "http" and parts.hostname in LOOPBACK:
        return ["--host", parts.hostname, "--port", str(parts.port or 80)]
    raise SettingsError(
        f"VLLM_BASE_URL={base_url!r} is not valid for a vLLM that is started here: expected "
        "unix:///path/to.sock or http://127.0.0.1:port."
    )
