"""Check of routes: is there a way to vLLM past the gateway?"""

from collections.abc import Iterator

from app.doctor.asking import Reply
from app.doctor.deployment import Deployment
from app.doctor.finding import Finding, fine, trouble
from app.doctor.reading import HTML, dig, error_of, read_json

# GET alone, since on POST some of them would do what they say; vLLM answers 405 then.
WITHOUT_KEY = ("/metrics", "/version", "/openapi.json")
WITH_KEY = ("/version", "/docs", "/pause", "/invocations", "/v1/load_lora_adapter")
FRAMEWORK = "detail"  # FastAPI's one member of an error, which no answer of the gateway has
MAX_SHOWN = 4


def check_routes(deployment: Deployment) -> Finding:
    """Whether only the gateway's own exist; /metrics is asked for without a key, since admins may see it."""
    asked: list[tuple[str, dict[str, str]]] = [(path, {}) for path in WITHOUT_KEY]
    asked += [(path, deployment.credentials) for path in WITH_KEY]
    exposed = dict.fromkeys(path for path, headers in asked if _is_of_vllm(deployment.get(path, headers)))
    if exposed:
        return trouble("routes_exposed", routes=", ".join(list(exposed)[:MAX_SHOWN]))
    return fine("only the gateway's own")


def _is_of_vllm(reply: Reply) -> bool:
    """Whether a route of vLLM answers; a web page may be anybody's, but for its page of documents."""
    if reply.kind in HTML:
        return reply.status == 200 and b"swagger-ui" in reply.body
    return any(_signs(reply))


def _signs(reply: Reply) -> Iterator[bool]:
    content = read_json(reply.body)
    is_framework = isinstance(content, dict) and FRAMEWORK in content
    yield is_framework and reply.status in (400, 405, 422)
    yield reply.status == 200 and b"vllm:" in reply.body
    yield reply.status == 200 and (dig(content, "version") is not None or dig(content, "openapi") is not None)
    yield reply.status == 405 and not error_of(reply)[0]
