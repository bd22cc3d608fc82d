"""Flask without what no route of ours needs, and the response whose body the worker relays."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import Flask, Request, Response
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter, Rule

from app.relay import Relay


class Application(Flask):
    """Routes by path and method alone; what host a request may name is for the gate to say."""

    def create_url_adapter(self, request: Request | None) -> Any:
        """Flask's own takes the host apart for each request, and Werkzeug's the path."""
        if request is None:
            return None
        rule = self._fixed_rules.get((request.method, request.path))
        if rule is not None:
            return FixedMatch(rule)
        return MapAdapter(self.url_map, "", "/", "", "http", request.path, request.method)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No function here is a coroutine's; Flask would look at each of them each time."""
        return func

    @cached_property
    def _fixed_rules(self) -> dict[tuple[str, str], Rule]:
        rules = [rule for rule in self.url_map.iter_rules() if not rule.arguments]
        return {(method, rule.rule): rule for rule in rules for method in rule.methods or ()}


@dataclass(frozen=True, slots=True)
class FixedMatch:
    """A rule without variable parts, found by the path as it is."""

    rule: Rule

    def match(self, **_: Any) -> tuple[Rule, dict[str, Any]]:
        """The rule, and what its variable parts hold."""
        return self.rule, {}


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
