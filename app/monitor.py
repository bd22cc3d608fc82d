"""Watching the upstream: the background duty that one worker of the instance does for all."""

import logging
import time

import gevent

from app.settings import Settings
from app.startup import IMPORT, LOADING, READY, WARM_UP, WEIGHTS, Startup
from app.upstream import Upstream
from app.warm_up import warm_up
from app.watch import UpstreamWatch

TICK_SECONDS = 0.25  # how often a model that is not ready yet is asked
PROBE_EVERY_SECONDS = 1.0  # afterwards; health requests only read the last answer
WARM_UP_CLAIM_SECONDS = 3.0  # also the pause after a failed try
log = logging.getLogger("gateway.monitor")


class Monitor:
    """Has the upstream watched, and follows its start."""

    def __init__(
        self, settings: Settings, upstream: Upstream, watch: UpstreamWatch, startup: Startup
    ) -> None:
        self._upstream = upstream
        self._watch = watch
        self._instance = watch.instance
        self._startup = startup
        self._warms_up = settings.warm_up

    def run(self) -> None:
        """The duties of one worker, for ever; start it in a greenlet after the fork."""
        while True:
            pause = PROBE_EVERY_SECONDS if self._instance.is_ready else TICK_SECONDS
            if self._instance.claim("probe_due", pause):
                is_up = self._watch.probe()
                if not self._instance.is_ready:
                    self._follow_start(is_up)
            self._watch.verify()
            self._watch.end_if_hung()
            self._upstream.close_idle()
            gevent.sleep(TICK_SECONDS)

    def _follow_start(self, is_up: bool) -> None:
        if not is_up:
            loading = {None: LOADING, False: IMPORT, True: WEIGHTS}
            self._startup.begin(loading[self._upstream.is_bound])
        elif not self._warms_up:
            self._startup.begin(READY)
        else:
            self._startup.begin(WARM_UP)
            if self._instance.claim("warm_up_due", WARM_UP_CLAIM_SECONDS):
                self._warm_up()

    def _warm_up(self) -> None:
        """One token by one worker; the others go on probing, and take over should it die."""
        token = gevent.spawn(warm_up, self._upstream)
        while not token.ready():
            self._instance.set("warm_up_due", time.monotonic() + WARM_UP_CLAIM_SECONDS)
            token.join(TICK_SECONDS)
        if token.get():
            self._instance.set("upstream_checked_at", time.monotonic())
            self._startup.begin(READY)
        else:
            log.warning("warm-up failed; it will be tried again")
