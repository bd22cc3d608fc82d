"""The request of this moment, without Flask's proxies, each access of which looks it up again."""

from typing import Any

from flask import Request, g, request


def this_request() -> Request:
    """The request itself."""
    current: Any = request
    return current._get_current_object()  # type: ignore[no-any-return]


def this_g() -> Any:
    """What the gate has found out about it: `record`, `route` and `principal`."""
    current: Any = g
    return current._get_current_object()
