"""Every route of vLLM 0.32, and what becomes of it at the gateway; and which the installed vLLM has.

`OFF` are those that are not even there as entrypoint.sh starts vLLM.
"""

import ast
import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from launch.environments import VLLM_CPU

Route = tuple[str, str]  # method, path; `*` is any method
SCRIPT = Path(__file__).with_name("inside_vllm.py")
VERBS = ("get", "post", "put", "delete", "patch", "head", "options", "websocket", "mount")


def table(text: str) -> frozenset[Route]:
    """A line for each path: its methods, then the path."""
    return frozenset(
        (method, path) for *methods, path in map(str.split, text.strip().splitlines()) for method in methods
    )


RELAYED = table("""
    POST /v1/chat/completions
    POST /v1/completions
    POST /v1/responses
    POST /v1/messages
    POST /v1/messages/count_tokens
    POST /v1/embeddings
    POST /tokenize
    POST /detokenize
""")
OWN = table("""
    GET /v1/models
    GET /health
""")
BLOCKED: dict[str, frozenset[Route]] = {
    "tells strangers about the server, or is probed by it in our place": table("""
        GET /load
        GET /version
        GET /metrics
        * /metrics
        * /metrics/{path}
        GET /kv_event_sources
        GET POST /ping
    """),
    "takes any of the other requests, past what is checked for each": table("""
        POST /invocations
    """),
    "one request would be many prompts, or a question to the model in a form of its own": table("""
        POST /v1/chat/completions/batch
        POST /v1/systemone
        POST /generative_scoring
    """),
    "a stored response belongs to no key": table("""
        GET /v1/responses/{response_id}
        POST /v1/responses/{response_id}/cancel
    """),
    "stops all requests while the server changes its size": table("""
        POST /scale_elastic_ep
        POST /is_scaling_elastic_ep
    """),
    "for other servers of a cluster: raw tokens, raw features, other people's requests": table("""
        POST /v1/chat/completions/render
        POST /v1/completions/render
        POST /v1/messages/render
        POST /v1/responses/render
        POST /v1/chat/completions/derender
        POST /v1/completions/derender
        POST /inference/v1/generate
        POST /inference/v1/abort_requests
    """),
    "for models of another kind; embeddings go over their own route": table("""
        POST /pooling
        POST /classify
        POST /score
        POST /v1/score
        POST /rerank
        POST /v1/rerank
        POST /v2/rerank
        POST /v2/embed
        POST /v1/audio/transcriptions
        POST /v1/audio/translations
        WEBSOCKET /v1/realtime
    """),
}
OFF: dict[str, frozenset[Route]] = {
    "pages of documents": table("""
        GET HEAD /docs
        GET HEAD /docs/oauth2-redirect
        GET HEAD /redoc
        GET HEAD /openapi.json
        * /static
        * /static/{path}
    """),
    "development mode": table("""
        GET /server_info
        POST /collective_rpc
        POST /reset_prefix_cache
        POST /reset_mm_cache
        POST /reset_encoder_cache
        POST /sleep
        POST /wake_up
        GET /is_sleeping
        POST /release_kv_cache_memory
        POST /pause
        POST /resume
        GET /is_paused
        POST /abort_requests
        POST /init_weight_transfer_engine
        POST /shutdown_weight_transfer_engine
        POST /start_weight_update
        POST /start_draft_weight_update
        POST /update_weights
        POST /finish_weight_update
        POST /update_weight_version
        GET /weight_info
        POST /weight_checker
        GET /get_world_size
    """),
    "adapters that clients load": table("""
        POST /v1/load_lora_adapter
        POST /v1/unload_lora_adapter
        POST /adapters
        DELETE /adapters/{adapter_name}
    """),
    "an argument or a variable that vLLM does not get": table("""
        POST /start_profile
        POST /stop_profile
        GET /tokenizer_info
        POST /fault_tolerance/apply
        GET /fault_tolerance/status
        POST /cohere/v2/chat
        POST /cohere/v2/chat/render
    """),
    "another server's, over several of vLLM": table("""
        GET /ready
        GET /readyz
    """),
}


def all_of(reasons: dict[str, frozenset[Route]]) -> frozenset[Route]:
    """The routes of every reason."""
    return frozenset().union(*reasons.values())


def inside_vllm(*arguments: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """What vLLM's own Python says of the installed package; see inside_vllm.py."""
    environ = {"CUDA_VISIBLE_DEVICES": "-1", "VLLM_PLUGINS": "", **(environ or {})}
    command = [str(VLLM_CPU.python), str(SCRIPT), *arguments]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return answer


@cache
def installed() -> dict[str, Any]:
    """Everything that the installed vLLM could have."""
    return inside_vllm("everything")


def routes_of(answer: dict[str, Any]) -> set[Route]:
    """The routes of what vLLM's Python said."""
    return {(method, path) for method, path in answer["routes"]}


def routes_in_the_source() -> set[Route]:
    """What its source declares: also what needs a package that is not installed here."""
    (package,) = VLLM_CPU.python.parents[1].glob("lib/python3*/site-packages/vllm/entrypoints")
    return {route for file in package.rglob("*.py") for route in _declared(ast.parse(file.read_text()))}


def _declared(tree: ast.AST) -> Iterator[Route]:
    for call in ast.walk(tree):
        match call:
            case ast.Call(ast.Attribute(attr=verb), [ast.Constant(str(path)), *_], words):
                if path.startswith("/") and verb in VERBS:
                    yield ("*" if verb == "mount" else verb.upper()), path
                elif path.startswith("/") and verb.endswith("route"):
                    methods = [ast.literal_eval(word.value) for word in words if word.arg == "methods"]
                    yield from ((method, path) for method in (methods or [["GET"]])[0])
