"""The table of everything that may be asked of this gateway; what is not here does not exist."""

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

from app.errors import BadRequest, MethodNotAllowed, RouteNotFound


class Api(Enum):
    """Whose wire format a route speaks: decides error shapes and what a whole stream is."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    OTHER = "other"


class Access(Enum):
    """Who may call a route. RELOAD is for admins too, or for any key while the set knows no admin."""

    PUBLIC = "public"
    INFERENCE = "inference"
    RELOAD = "reload"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one target; `path` is also the upstream's path where it is relayed.

    A route that knows no streams answers whole, whatever `stream` says in the request.
    """

    method: str
    path: str
    access: Access
    api: Api = Api.OTHER
    streams: bool = False


MODEL_PREFIX = "/v1/models/"
MODEL_ROUTE = Route("GET", MODEL_PREFIX + "{id}", Access.INFERENCE)

RELAYED = (
    Route("POST", "/v1/chat/completions", Access.INFERENCE, Api.CHAT, streams=True),
    Route("POST", "/v1/completions", Access.INFERENCE, Api.COMPLETIONS, streams=True),
    Route("POST", "/v1/responses", Access.INFERENCE, Api.RESPONSES, streams=True),
    Route("POST", "/v1/messages", Access.INFERENCE, Api.MESSAGES, streams=True),
    Route("POST", "/v1/messages/count_tokens", Access.INFERENCE, Api.MESSAGES),
    Route("POST", "/v1/embeddings", Access.INFERENCE),
    Route("POST", "/tokenize", Access.INFERENCE),
    Route("POST", "/detokenize", Access.INFERENCE),
)
OWN = (
    Route("GET", "/v1/models", Access.INFERENCE),
    Route("GET", "/health", Access.PUBLIC),
    Route("GET", "/health/live", Access.PUBLIC),
    Route("GET", "/health/ready", Access.PUBLIC),
    Route("GET", "/health/startup", Access.PUBLIC),
    Route("GET", "/admin/reload-keys", Access.RELOAD),
    Route("POST", "/admin/reload-keys", Access.RELOAD),
    Route("GET", "/admin/status", Access.ADMIN),
)


def _index() -> dict[str, dict[str, Route]]:
    table: dict[str, dict[str, Route]] = {}
    for route in RELAYED + OWN:
        table.setdefault(route.path, {})[route.method] = route
    return table


TABLE = _index()

# Characters of Hugging Face ids, LoRA and alias names; no empty and no dot-only segments.
MODEL_ID = re.compile(r"(?!\.+(?:/|$))[\w.:@+-]+(?:/(?!\.+(?:/|$))[\w.:@+-]+)*", re.ASCII)
HOST = re.compile(r"(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.ASCII | re.IGNORECASE)


def find_route(method: str, target: str) -> Route:
    """The route for a raw request target, byte for byte; only a query may follow the path.

    Raises RouteNotFound, or MethodNotAllowed with the methods that exist there.
    """
    path = target.split("?", 1)[0]
    if path.startswith(MODEL_PREFIX):
        find_model_id(path)
        methods = {"GET": MODEL_ROUTE}
    elif path in TABLE:
        methods = TABLE[path]
    else:
        raise RouteNotFound
    if method not in methods:
        raise MethodNotAllowed(", ".join(sorted(methods)))
    return methods[method]


def find_model_id(path: str) -> str:
    """The decoded model id of a `/v1/models/{id}` path; SDKs send its slash as `%2F`.

    Raises RouteNotFound for what cannot be a model's id.
    """
    model_id = unquote(path.removeprefix(MODEL_PREFIX), errors="replace")
    if not MODEL_ID.fullmatch(model_id):
        raise RouteNotFound
    return model_id


def check_host(value: str | None, *, required: bool) -> None:
    """Refuse a Host that is no `host[:port]`: a `/`, `?` or `#` in it has fooled routers before.

    Raises BadRequest.
    """
    if value is None and not required:
        return
    match = HOST.fullmatch(value or "")
    if match is None or int(match[1] or 0) > 65535:
        raise BadRequest


def speaks_anthropic(target: str) -> bool:
    """Whether errors on this target have Anthropic's shape."""
    path = target.split("?", 1)[0]
    return path in TABLE and "POST" in TABLE[path] and TABLE[path]["POST"].api is Api.MESSAGES
