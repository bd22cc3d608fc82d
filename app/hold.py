"""Hold requests while the model has not been ready yet."""

import time

import gevent

from app.instance import Instance
from app.startup import Startup
from app.unavailable import ModelLoading

POLL_SECONDS = 0.1


class Hold:
    """Lets requests wait at most so many seconds for the first readiness of this instance."""

    def __init__(self, instance: Instance, startup: Startup, seconds: float) -> None:
        self._instance = instance
        self._startup = startup
        self._seconds = seconds
        self.slot = 0

    def wait(self) -> float:
        """Return once the model has been ready; how many seconds that took.

        Raises ModelLoading when it takes too long.
        """
        if self._instance.is_ready:
            return 0.0
        began = time.monotonic()
        self._instance.held[self.slot] += 1
        try:
            self._wait_until(began + self._seconds)
        finally:
            self._instance.held[self.slot] -= 1
        return time.monotonic() - began

    def _wait_until(self, until: float) -> None:
        while not self._instance.is_ready:
            if time.monotonic() >= until:
                raise ModelLoading(self._startup.phase, self._startup.seconds_left())
            gevent.sleep(POLL_SECONDS)
