"""The table of everything that may be asked of this gateway; what is not here does not exist."""

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address
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
    """Who may call a route. RELOAD is for admins too, or for any key while the set knows no admin.

    SESSION is for browsers: a cookie of the status page, whose key is looked up each time.
    """

    PUBLIC = "public"
    INFERENCE = "inference"
    RELOAD = "reload"
    ADMIN = "admin"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one target; `path` is also the upstream's path where it is relayed, unless `upstream` is.

    A route that knows no streams answers whole, whatever `stream` says in the request. One that is for
    whoever watches is answered also while the instance shuts down.
    """

    method: str
    path: str
    access: Access
    api: Api = Api.OTHER
    streams: bool = False
    when_draining: bool = False
    upstream: str = ""

    @property
    def upstream_path(self) -> str:
        """Where a relayed request goes, and whose fields its body has."""
        return self.upstream or self.path


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
    Route("GET", "/admin/usage", Access.ADMIN),
    Route("GET", "/metrics", Access.ADMIN, when_draining=True),
    Route("GET", "/metrics/vllm", Access.ADMIN, when_draining=True),
)
PLAYGROUND = Route(
    *("POST", "/admin/page/playground", Access.SESSION, Api.CHAT),
    streams=True,
    upstream="/v1/chat/completions",
)
PAGE_DATA = "/admin/page/data"
ASSETS = {
    name: f"/admin/page/{name}"
    for name in ("page.css", "page.js", "charts.js", "playground.js", "uplot.js", "uplot.css", "icon.svg")
}
# The status page: for browsers, and so no part of the API that docs/openapi.yaml describes.
PAGE = (
    Route("GET", "/admin/", Access.PUBLIC),  # the page to a session, and to others the form to begin one
    Route("GET", "/admin/login", Access.PUBLIC),
    Route("POST", "/admin/login", Access.PUBLIC),
    Route("POST", "/admin/logout", Access.SESSION),
    Route("GET", PAGE_DATA, Access.SESSION),
    Route("POST", "/admin/page/reload-keys", Access.SESSION),
    PLAYGROUND,
    *(Route("GET", path, Access.PUBLIC) for path in ASSETS.values()),
)


def _index() -> dict[str, dict[str, Route]]:
    table: dict[str, dict[str, Route]] = {}
    for route in RELAYED + OWN + PAGE:
        table.setdefault(route.path, {})[route.method] = route
    return table


TABLE = _index()
ADMIN_PREFIX = "/admin/"
OPERATORS = {route.path for route in OWN if route.access not in (Access.PUBLIC, Access.INFERENCE)}

# Characters of Hugging Face ids, LoRA and alias names; no empty and no dot-only segments.
MODEL_ID = re.compile(r"(?!\.+(?:/|$))[\w.:@+-]+(?:/(?!\.+(?:/|$))[\w.:@+-]+)*", re.ASCII)
LABEL = r"[a-z0-9_-]{1,63}"
HOST = re.compile(
    rf"(?:{LABEL}(?:\.{LABEL})*\.?|\[(?P<v6>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{{1,5}}))?",
    re.ASCII | re.IGNORECASE,
)
MAX_HOST_CHARS = 261  # 253 of a name, its last dot, a colon and a port
AUTHORITY = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)", re.ASCII | re.IGNORECASE)


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
    if match is None or len(match[0]) > MAX_HOST_CHARS or not 0 < int(match["port"] or 80) <= 65535:
        raise BadRequest
    if match["v6"]:
        _check_ipv6(match["v6"])


def _check_ipv6(literal: str) -> None:
    try:
        IPv6Address(literal)
    except ValueError:
        raise BadRequest from None


def check_authority(target: str, host: str | None) -> None:
    """Refuse a target that names another host than the Host field does. Raises BadRequest."""
    match = AUTHORITY.match(target)
    if match and host is not None and match[1].lower() != host.lower():
        raise BadRequest


def known_path(target: str) -> str | None:
    """The path of a target where the table has it: nothing else of a target may be logged."""
    path = target.split("?", 1)[0]
    return path if path in TABLE else None


def is_for_operators(target: str) -> bool:
    """Whether a target is, or would be, one of the administration: by its place, or by who may call it."""
    path = target.split("?", 1)[0]
    return path in OPERATORS or path.startswith(ADMIN_PREFIX)


def changes_gateway(method: str | None, path: str | None) -> bool:
    """Whether a request may change something: by its method, as HTTP has it, or as keys are reloaded."""
    route = TABLE.get(path or "", {}).get(method or "")
    return route is not None and (route.method != "GET" or route.access is Access.RELOAD)


def speaks_anthropic(target: str) -> bool:
    """Whether errors on this target have Anthropic's shape."""
    methods = TABLE.get(known_path(target) or "", {})
    return "POST" in methods and methods["POST"].api is Api.MESSAGES
