"""The opencode.json for a model behind this gateway. Sizes are tokens; tried with OpenCode 1.18.33."""

from typing import Any

PROVIDER = "vllm-gateway"  # an id that starts with "openai" or "opencode" gets other rules there
KEY = "{env:VLLM_API_KEY}"
MOST_OUTPUT = 32_000  # OpenCode asks for no more, whatever the limit
# Its first request takes about 7,600 tokens before any code. A window that cannot hold it makes OpenCode
# compact and ask again without end; the slim variant's first request takes about 3,400.
FULL_WINDOW = 16_384
SMALLEST_WINDOW = 6_144

SLIM = {
    "agent": {
        "build": {"prompt": "You write code. Read and change files with the tools, then say what you did."},
        "title": {"disable": True},
    },
    "permission": dict.fromkeys(("task", "todowrite", "webfetch", "websearch", "skill"), "deny"),
}


class WindowTooSmall(ValueError):
    """No variant of OpenCode's prompt fits into the model's window."""


def opencode_config(url: str, model: str, context: int, **sampling: float) -> dict[str, Any]:
    """What opencode.json holds for one model of the gateway at `url` (without `/v1`).

    `context` must be vLLM's `max_model_len`. `sampling`, such as `temperature` and `top_p`, goes where
    OpenCode reads it: into the model's options. Raises WindowTooSmall below 6,144 tokens.
    """
    if context < SMALLEST_WINDOW:
        raise WindowTooSmall
    entry = {
        "name": model.rsplit("/", 1)[-1],
        "limit": {"context": context, "output": min(MOST_OUTPUT, context // 4)},
        **({"options": sampling} if sampling else {}),
    }
    return {
        "$schema": "https://opencode.ai/config.json",
        "model": f"{PROVIDER}/{model}",
        "small_model": f"{PROVIDER}/{model}",
        "provider": {
            PROVIDER: {
                "npm": "@ai-sdk/openai-compatible",
                "name": "vLLM gateway",
                "options": {"baseURL": f"{url}/v1", "apiKey": KEY, "headers": {"X-API-Key": KEY}},
                "models": {model: entry},
            }
        },
        **(SLIM if context < FULL_WINDOW else {}),
    }
