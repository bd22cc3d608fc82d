"""Whether the upstream serves: judged by its health route, and by a token once requests got no answer.

vLLM's /health only tells that its engine has not died. An engine that hangs is found because requests
end without a byte; then one token is asked for, so that a full queue is not taken for a hang.
"""

import logging
import os
import signal
import time

import gevent

from app.errors import GatewayError, UpstreamTimeout
from app.instance import Instance
from app.settings import Settings
from app.upstream import Call, Upstream
from app.warm_up import warm_up

PROBE_SECONDS = 2.0
STALE_SECONDS = 10.0
MISSES = 3  # silent probes in a row: one of a busy server may come late
TOKEN_SECONDS = 60.0
TOKEN_MARGIN_SECONDS = 5.0  # after it, another worker may ask: the one that did has died
PAUSE_SECONDS = 1.0
log = logging.getLogger("gateway.watch")


class UpstreamWatch:
    """What all workers of this instance know of the upstream; each duty is done by one of them."""

    def __init__(self, settings: Settings, upstream: Upstream, instance: Instance) -> None:
        self._upstream = upstream
        self.instance = instance
        self._hang_seconds = settings.upstream_hang_seconds
        self._token_seconds = min(TOKEN_SECONDS, settings.first_byte_timeout_seconds)

    def is_up(self) -> bool:
        """Whether the upstream answered lately, and nothing speaks against its making tokens."""
        instance = self.instance
        age = time.monotonic() - instance.get("upstream_checked_at")
        return age < STALE_SECONDS and instance.get("upstream_is_up") > 0 and not instance.get("stuck_since")

    def probe(self) -> bool:
        """Ask the health route and note the answer; whether the upstream counts as up."""
        instance = self.instance
        answered = self._ask()
        misses = instance.get("probe_misses") + 1 if answered is None else 0.0
        was_up = instance.get("upstream_is_up") > 0
        is_up = (was_up and misses < MISSES) if answered is None else answered
        instance.set("probe_misses", misses)
        instance.set("upstream_is_up", float(is_up))
        instance.set("upstream_checked_at", time.monotonic())
        if instance.is_ready and is_up != was_up:
            log.warning("upstream is %s", "back" if is_up else "gone")
        if answered and not instance.get("stuck_since"):
            instance.set("alive_at", time.monotonic())
        return is_up

    def _ask(self) -> bool | None:
        """None when nothing came in time; a refused connection is an answer."""
        try:
            with gevent.Timeout(PROBE_SECONDS, UpstreamTimeout()):
                answer = self._upstream.open(Call("GET", "/health", {}))
                answer.read()
        except UpstreamTimeout:
            return None
        except GatewayError:
            return False
        # A server without this route still answered; vLLM says 503 when its engine is dead.
        return answer.status < 500

    def verify(self) -> None:
        """While a request has ended without a byte and none has come since: ask for a token."""
        instance = self.instance
        if not instance.get("suspected_since") or not instance.is_ready:
            return
        if self._has_seen_a_byte():
            self._trust()
        elif instance.claim("verify_due", self._token_seconds + TOKEN_MARGIN_SECONDS):
            gevent.spawn(self._ask_for_token)

    def _ask_for_token(self) -> None:
        if warm_up(self._upstream, self._token_seconds) or self._has_seen_a_byte():
            self._trust()
        elif not self.instance.get("stuck_since"):
            log.error("the model answers probes, but makes no tokens")
            self.instance.set("stuck_since", time.monotonic())
        self.instance.set("verify_due", time.monotonic() + PAUSE_SECONDS)

    def _has_seen_a_byte(self) -> bool:
        return self.instance.get("byte_at") > self.instance.get("suspected_since")

    def _trust(self) -> None:
        if self.instance.get("stuck_since"):
            log.warning("the model makes tokens again")
        self.instance.set("suspected_since", 0.0)
        self.instance.set("stuck_since", 0.0)

    def end_if_hung(self) -> None:
        """Stop this gateway when a model that was ready has been of no use for too long.

        entrypoint.sh then ends vLLM too; whoever runs the container starts another.
        """
        instance = self.instance
        if not self._hang_seconds or not instance.is_ready or instance.is_draining:
            return
        silence = time.monotonic() - max(map(instance.get, ("alive_at", "byte_at", "ready_since")))
        if silence >= self._hang_seconds and os.getppid() == instance.get("master_pid"):
            log.error("the model server hangs; ending", extra={"seconds": round(silence, 1)})
            os.kill(os.getppid(), signal.SIGTERM)
