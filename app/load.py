"""What this instance carries at the moment, over all of its workers, and how much it may carry."""

from app.instance import Instance
from app.unavailable import Overloaded


class Load:
    """Requests in flight, and bytes of request bodies that wait in memory.

    Each worker counts in a slot of its own, which gunicorn's hooks give it and empty after its end, so that
    a worker that is killed takes its load with it. Two workers may decide at the same moment: a limit
    can be passed by as many requests as there are workers.
    """

    def __init__(self, instance: Instance, max_requests: int, max_bytes: int) -> None:
        self.slot = 0
        self._instance = instance
        self._max_requests = max_requests
        self._max_bytes = max_bytes

    @property
    def requests(self) -> int:
        """How many are in flight at this moment."""
        return sum(self._instance.requests[: self._instance.slots_used])

    def enter(self) -> "Share":
        """Take one more request. Raises Overloaded when there are enough of them."""
        if self.requests >= self._max_requests:
            raise Overloaded
        self._instance.requests[self.slot] += 1
        return Share(self)

    def add_bytes(self, size: int) -> None:
        """Take so many bytes more. Raises Overloaded when there is no room for them."""
        if sum(self._instance.body_bytes[: self._instance.slots_used]) + size > self._max_bytes:
            raise Overloaded
        self._instance.body_bytes[self.slot] += size

    def leave(self, requests: int, size: int) -> None:
        """Give back what was taken."""
        self._instance.requests[self.slot] -= requests
        self._instance.body_bytes[self.slot] -= size


class Share:
    """One request's part of the load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = 1
        self._size = 0

    def reserve(self, size: int) -> None:
        """Make room for so many more bytes of the request's body. Raises Overloaded."""
        self._load.add_bytes(size)
        self._size += size

    def drop_body(self) -> None:
        """The body is needed no more."""
        self._load.leave(0, self._size)
        self._size = 0

    def close(self) -> None:
        """The request is over."""
        self._load.leave(self._requests, self._size)
        self._requests = self._size = 0
