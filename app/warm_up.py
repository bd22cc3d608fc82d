"""One token: asked for before the first readiness, since vLLM's /health is green before kernels and
caches are made, and later when requests get no answer.
"""

import gevent
import msgspec

from app.errors import GatewayError
from app.strict_json import StrictJsonError, decode_upstream
from app.upstream import Call, Upstream

WARM_UP_SECONDS = 300.0


def warm_up(upstream: Upstream, seconds: float = WARM_UP_SECONDS) -> bool:
    """Have the first model make one token; whether the upstream could be asked for it.

    A refusal counts too: a model that only embeds has no completions.
    """
    try:
        with gevent.Timeout(seconds, TimeoutError()):
            listing = upstream.open(Call("GET", "/v1/models", {}))
            model = decode_upstream(listing.read())["data"][0]["id"]
            wish = {"model": model, "prompt": "Hi", "max_tokens": 1}
            call = Call(
                "POST", "/v1/completions", {"Content-Type": "application/json"}, msgspec.json.encode(wish)
            )
            answer = upstream.open(call)
            answer.read()
    except (GatewayError, TimeoutError, StrictJsonError, LookupError, TypeError):
        return False
    return answer.status < 500
