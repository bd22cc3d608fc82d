"""How an answer can break off after its head was sent: an error event, then the cut."""

from app.errors import GatewayError


class BrokenStream(GatewayError):
    """The answer ended early after its head was sent: an error event, then the cut.

    OpenCode 1.18 asks again when it reads `server_error` or `overloaded`; the cut it may see too late.
    """

    status = 502
    type = "server_error"


class UpstreamLost(BrokenStream):
    """The upstream reset, truncated or left the stream unfinished."""

    code = "upstream_lost"
    message = "The upstream connection was lost."


class IdleTimeout(BrokenStream):
    """The upstream sent nothing for too long."""

    code = "idle_timeout"
    message = "The model server stopped sending."


class DeadlineExceeded(BrokenStream):
    """The whole request took longer than REQUEST_DEADLINE_SECONDS."""

    status = 504  # where it strikes before any head
    type = "timeout_error"
    code = "deadline_exceeded"
    message = "The request took too long."


class ServerShutdown(BrokenStream):
    """The stream was still running when the drain ended."""

    type = "overloaded_error"
    code = "server_shutdown"
    message = "This instance is shutting down."


class ClientStalled(BrokenStream):
    """The client read nothing for CLIENT_STALL_TIMEOUT_SECONDS; it is cut without a word."""

    code = "client_stalled"


class ClientGone(BaseException):
    """The client left. A BaseException, so that no library between us and the socket swallows it."""
