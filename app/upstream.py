"""Open a request to the upstream with `requests`, and translate how that can fail."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from app.answer import Answer
from app.errors import UpstreamError
from app.transport import UNIX_HOST, StaleConnection, UpstreamAdapter
from app.unavailable import UpstreamUnavailable


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the upstream; `path` comes from the route table, never from a client."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None


class Upstream:
    """The one server behind this gateway."""

    def __init__(self, base_url: str) -> None:
        self._adapter = UpstreamAdapter(base_url)
        parts = urlsplit(base_url)
        self._host = parts.netloc or UNIX_HOST
        self._socket_path = parts.path if parts.scheme == "unix" else None

    def open(self, call: Call) -> Answer:
        """Send the call and read the answer's head; blocks this greenlet without a limit of its own.

        A reused connection that died before any response byte is replaced once. Raises
        UpstreamUnavailable when no connection can be made or it is lost before an answer, and
        UpstreamError when the answer is no HTTP.
        """
        try:
            return self._send(call)
        except StaleConnection:
            pass
        try:
            return self._send(call)
        except StaleConnection as error:
            raise UpstreamUnavailable from error

    @property
    def is_bound(self) -> bool | None:
        """Whether the Unix socket exists; a server may be long from answering then. None over TCP."""
        return None if self._socket_path is None else os.path.exists(self._socket_path)

    def close_idle(self) -> None:
        """Close connections that have been idle for too long to be used again."""
        self._adapter.pool.close_idle()

    def _send(self, call: Call) -> Answer:
        request: Any = requests.PreparedRequest()
        request.method, request.url, request.body = call.method, call.path, call.body
        request.headers = self._headers(call)
        try:
            answer: Any = self._adapter.send(request, stream=True)
        except requests.ConnectionError as error:
            raise UpstreamUnavailable from error
        except (requests.RequestException, ValueError) as error:
            raise UpstreamError from error
        return answer  # type: ignore[no-any-return]

    def _headers(self, call: Call) -> dict[str, str]:
        length = {} if call.body is None else {"Content-Length": str(len(call.body))}
        return {"Host": self._host, "Accept-Encoding": "identity", **length, **call.headers}
