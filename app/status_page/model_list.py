"""What the upstream serves, as it says itself, asked for at most every half minute by each worker."""

import time
from typing import Any

import gevent

from app.errors import GatewayError, UpstreamTimeout
from app.models import without_paths
from app.refusal import check_usable
from app.upstream import Call, Upstream
from app.watch import UpstreamWatch

KEPT_SECONDS = 30.0
RETRY_SECONDS = 5.0
ANSWER_SECONDS = 2.0


class ModelList:
    """The models and their limits. What was known last stays until there is something newer."""

    def __init__(self, upstream: Upstream, watch: UpstreamWatch) -> None:
        self._upstream = upstream
        self._watch = watch
        self._due = 0.0
        self._cards: list[dict[str, Any]] = []

    def cards(self) -> list[dict[str, Any]]:
        """vLLM's entries without its paths; none before the first answer."""
        now = time.monotonic()
        if now >= self._due and self._watch.is_up():
            self._due = now + RETRY_SECONDS
            try:
                self._cards = self._ask()
                self._due = now + KEPT_SECONDS
            except GatewayError:
                pass  # the page says what is wrong with the upstream
        return self._cards

    def _ask(self) -> list[dict[str, Any]]:
        with gevent.Timeout(ANSWER_SECONDS, UpstreamTimeout()):
            answer = self._upstream.open(Call("GET", "/v1/models", {"Accept": "application/json"}))
            try:
                check_usable(answer, is_stream=False)
                return list(without_paths(answer.read())["data"])
            finally:
                answer.close()
