"""Hold requests while the model has not been ready yet."""

import time

import gevent

from app.errors import ModelLoading
from app.instance import Instance

POLL_SECONDS = 0.1


def hold_until_ready(instance: Instance, seconds: float) -> None:
    """Wait at most so long for the first readiness of this instance; afterwards never wait.

    Raises ModelLoading when it does not come in time.
    """
    until = time.monotonic() + seconds
    while not instance.is_ready:
        if time.monotonic() >= until:
            raise ModelLoading
        gevent.sleep(POLL_SECONDS)
