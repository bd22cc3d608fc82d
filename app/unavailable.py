"""The errors that pass by themselves: every one tells the client when to come back."""

from app.errors import GatewayError, ReloadFailed


class Unavailable(GatewayError):
    """Not now, but soon: carries Retry-After in seconds."""

    status = 503
    type = "overloaded_error"
    retry_after: int = 5

    def headers(self) -> dict[str, str]:
        """Whole seconds from 1 to 59: above 60 some clients give up at once."""
        return {"Retry-After": str(min(59, max(1, self.retry_after)))}


class KeysUnavailable(Unavailable):
    """No key set could be loaded yet, so nobody can be told apart."""

    code = "keys_unavailable"
    message = "The gateway has no API keys loaded yet."
    retry_after = 10


class ModelLoading(Unavailable):
    """The model has not been ready once since this instance started."""

    code = "model_loading"

    def __init__(self, phase: str, seconds_left: int) -> None:
        super().__init__(f"The model is starting ({phase}), about {seconds_left} s left.")
        self.retry_after = seconds_left


class UpstreamUnavailable(Unavailable):
    """The upstream refuses connections or lost this one before any answer."""

    code = "upstream_unavailable"
    message = "The model server is not available."


class Draining(Unavailable):
    """This instance is shutting down and takes no new work."""

    code = "draining"
    message = "This instance is shutting down."


class Overloaded(Unavailable):
    """This instance carries as many requests, bytes or connections as it may."""

    code = "overloaded"
    message = "This gateway has as much to do as it can carry."
    retry_after = 2


class StoreSilent(ReloadFailed, Unavailable):
    """The key store did not answer; the old set stays."""

    status = 503
    type = ReloadFailed.type
