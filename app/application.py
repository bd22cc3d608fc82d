"""Flask without what no route of ours needs, and the response whose body the worker relays."""

from collections.abc import Iterable
from typing import Any

from flask import Flask, Request, Response
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter

from app.relay import Relay


class Application(Flask):
    """Routes by path and method alone; what host a request may name is for the gate to say."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Flask's own takes the host apart for each request."""
        if request is None:
            return None
        return MapAdapter(self.url_map, "", "/", "", "http", request.path, request.method)


class RelayedResponse(Response):
    """Status and fields; in the place of the body stands the relay, which our worker knows how to run."""

    default_mimetype = None  # an answer without a type stays one

    def __init__(self, relay: Relay, status: int, fields: Iterable[tuple[str, str]]) -> None:
        super().__init__(status=status, headers=Headers(list(fields)), direct_passthrough=True)
        self._relay = relay

    def __call__(self, _environ: Any, start_response: Any) -> Any:
        """The fields as they are: Werkzeug would look for what may be missing or wrong."""
        start_response(self.status, list(self.headers))
        return self._relay
