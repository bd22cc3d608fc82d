"""The models blueprint: vLLM's list without its local paths, and one entry of it."""

from typing import Any

import gevent
import msgspec
from flask import Blueprint, Response, current_app, g, request

from app import headers
from app.connection import ClientConnection
from app.errors import ModelNotFound, UpstreamError, UpstreamTimeout
from app.hold import Hold
from app.refusal import check_usable, refusal_of_upstream
from app.strict_json import StrictJsonError, decode_upstream
from app.upstream import Call, Upstream
from app.wire import CONNECTION

LIST_SECONDS = 10.0

bp = Blueprint("models", __name__)


class Models:
    """Asks the upstream for its models."""

    def __init__(self, upstream: Upstream, hold: Hold) -> None:
        self._upstream = upstream
        self._hold = hold

    def fetch(self) -> dict[str, Any] | Response:
        """The list, or the upstream's refusal as it goes to the client."""
        connection: ClientConnection = request.environ[CONNECTION]
        record, secret = g.record, g.principal.secret
        passed = headers.to_upstream(request.headers, record.request_id, secret, record.trace, has_body=False)
        call = Call("GET", "/v1/models", passed)
        with connection.watched():
            self._hold.wait()
            with gevent.Timeout(LIST_SECONDS, UpstreamTimeout()):
                answer = connection.keep(self._upstream.open(call))
                if answer.is_refusal:
                    return refusal_of_upstream(answer)
                check_usable(answer, is_stream=False)
                raw = answer.read()
        return without_paths(raw)


def without_paths(raw: bytes) -> dict[str, Any]:
    """The list with `root` taken out of each card: vLLM puts the weights' local folder there.

    Raises UpstreamError when it is no list of models.
    """
    try:
        listing = decode_upstream(raw)
        cards = [{k: v for k, v in card.items() if k != "root"} for card in listing["data"]]
    except (StrictJsonError, TypeError, KeyError, AttributeError) as error:
        raise UpstreamError from error
    return {**listing, "data": cards}


def _json(content: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(content), content_type="application/json")


@bp.get("/v1/models")
def list_models() -> Response:
    """All models."""
    models: Models = current_app.extensions["models"]
    listing = models.fetch()
    return listing if isinstance(listing, Response) else _json(listing)


@bp.get("/v1/models/<path:model_id>")
def get_model(model_id: str) -> Response:
    """One model; the route table has checked the id, and a slash in it may have been `%2F`."""
    models: Models = current_app.extensions["models"]
    listing = models.fetch()
    if isinstance(listing, Response):
        return listing
    for card in listing["data"]:
        if card.get("id") == model_id:
            return _json(card)
    raise ModelNotFound
