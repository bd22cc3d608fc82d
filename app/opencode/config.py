"""The opencode.json for models behind gateways. Sizes are tokens; tried with OpenCode 1.18.33."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PROVIDER = "vllm-gateway"
FORBIDDEN_PROVIDERS = ("openai", "opencode")  # ids that begin so get other rules and headers there
KEY_VARIABLE = "VLLM_API_KEY"
TOKEN_VARIABLE = "GATEWAY_IDENTITY_TOKEN"  # noqa: S105  a name, not a token
MOST_OUTPUT = 32_000  # OpenCode asks for no more, whatever the limit
# Its first request takes about 7,600 tokens before any code, 3,400 with the slim variant. A window that
# cannot hold it beside a quarter for the answer makes OpenCode compact and ask again without end.
SMALLEST = {"full": 12_288, "slim": 6_144}
SMALLEST_WINDOW = SMALLEST["slim"]
FULL_WINDOW = 16_384  # from here on the full variant leaves room for work
ROOMY_WINDOW = 32_768

SLIM: dict[str, Any] = {
    "agent": {
        "build": {"prompt": "You write code. Read and change files with the tools, then say what you did."},
        "title": {"disable": True},
    },
    "permission": dict.fromkeys(("task", "todowrite", "webfetch", "websearch", "skill"), "deny"),
}


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a gateway; `window` is vLLM's `max_model_len`."""

    id: str
    window: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """One provider of OpenCode; `url` has no `/v1`. The variables hold its key and, with IAM, an ID token."""

    url: str
    models: Sequence[Model] = ()
    provider: str = PROVIDER
    key_variable: str = KEY_VARIABLE
    token_variable: str = TOKEN_VARIABLE


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person may want otherwise.

    `options` are fields of each request (temperature, top_p …). `temperatures` are those of agents by name.
    `reasoning` has the ids of models that think. `cost` is in dollars for a million tokens in and out.
    """

    variant: str = "auto"  # or full, slim
    options: Mapping[str, Any] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    reasoning: frozenset[str] = frozenset()
    cost: tuple[float, float] | None = None
    output_tokens: int = MOST_OUTPUT
    small_model: str = ""
    iam: bool = False


def choose_variant(wished: str, first_window: int) -> str:
    """`full` or `slim`: as wished, or as the window of the model that OpenCode starts with allows."""
    if wished != "auto":
        return wished
    return "full" if first_window >= FULL_WINDOW else "slim"


def opencode_config(gateways: Sequence[Gateway], wishes: Wishes = Wishes()) -> dict[str, Any]:
    """What opencode.json holds for these gateways; the first model of the first one is the default.

    Every gateway has a model, and every model fits into the variant (`choose_variant`, `SMALLEST`).
    """
    first = gateways[0].models[0]
    default = f"{gateways[0].provider}/{first.id}"
    return {
        "$schema": "https://opencode.ai/config.json",  # without it OpenCode writes it into the file
        "model": default,
        "small_model": wishes.small_model or default,
        "provider": {gateway.provider: _provider(gateway, wishes) for gateway in gateways},
        **_agents(choose_variant(wishes.variant, first.window), wishes.temperatures),
    }


def _provider(gateway: Gateway, wishes: Wishes) -> dict[str, Any]:
    key = f"{{env:{gateway.key_variable}}}"
    token = f"Bearer {{env:{gateway.token_variable}}}"
    # Beside it Google's front end leaves the Authorization field to the gateway's own key.
    iam = {"X-Serverless-Authorization": token} if wishes.iam else {}
    return {
        "npm": "@ai-sdk/openai-compatible",
        "name": "vLLM gateway" if gateway.provider == PROVIDER else f"vLLM gateway {gateway.provider}",
        "options": {
            "baseURL": f"{gateway.url}/v1",
            "apiKey": key,
            "headers": {"X-API-Key": key, **iam},
        },
        "models": {model.id: _model(model, wishes) for model in gateway.models},
    }


def _model(model: Model, wishes: Wishes) -> dict[str, Any]:
    output = min(MOST_OUTPUT, model.window // 4, wishes.output_tokens)
    entry: dict[str, Any] = {
        "name": model.id.rsplit("/", 1)[-1],
        "limit": {"context": model.window, "output": output},
    }
    if model.id in wishes.reasoning:
        entry["reasoning"] = True
    if wishes.temperatures:
        entry["temperature"] = True  # else OpenCode sends no agent's temperature
    if wishes.cost is not None:
        entry["cost"] = dict(zip(("input", "output"), wishes.cost, strict=True))
    if wishes.options:
        entry["options"] = dict(wishes.options)
    return entry


def _agents(variant: str, temperatures: Mapping[str, float]) -> dict[str, Any]:
    blocks = copy.deepcopy(SLIM) if variant == "slim" else {}
    for agent, temperature in temperatures.items():
        blocks.setdefault("agent", {}).setdefault(agent, {})["temperature"] = temperature
    return blocks
