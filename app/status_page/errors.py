"""What the status page answers beside the errors of the API; a browser gets them as a page."""

from app.errors import GatewayError


class PageError(GatewayError):
    """An answer of the status page's own routes, which are no part of the API."""


class SessionRequired(PageError):
    """No session, one that has ended, or one whose key is no admin's any more: one wording for all."""

    status = 401
    type = "authentication_error"
    code = "session_required"
    message = "The session has ended. Log in again."

    def headers(self) -> dict[str, str]:
        """The challenge that RFC 9110 section 11.6.1 asks for; browsers have no dialogue for this scheme."""
        return {"WWW-Authenticate": "Session"}


class ForgedForm(PageError):
    """A POST that did not come from this gateway's own page, as far as can be told."""

    status = 403
    type = "permission_error"
    code = "cross_site_request"
    message = "This did not come from the gateway's own page. Load the page again and repeat it there."
