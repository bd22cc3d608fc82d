"""A browser without a screen: it keeps the cookie of the status page and sends its forms."""

import re
from typing import Any
from urllib.parse import urlencode

from tests.client import Reply
from tests.gateway import Gateway

ADMIN = "sk-admin-0123456789abcdef"
BOSS = {"key": ADMIN, "id": "op-1", "scopes": ["inference", "admin"]}
OWN = {"Sec-Fetch-Site": "same-origin"}
HTML = {"Accept": "text/html,application/xhtml+xml"}
TOKEN = re.compile(r'name="csrf" value="([0-9a-f]+)"')
RELOAD, DATA, PLAYGROUND = "/admin/page/reload-keys", "/admin/page/data", "/admin/page/playground"


class Page:
    """One visitor of a gateway's status page."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.cookie = ""
        self.token = ""

    def log_in(self, key: str = ADMIN, **headers: str) -> Reply:
        """Send the key, and keep the cookie and the form token of the page behind it."""
        reply = self.form("/admin/login", {"key": key}, **headers)
        if "set-cookie" in reply.headers:
            self.cookie = reply.headers["set-cookie"].split(";")[0]
            shown = self.get("/admin/").body.decode()
            found = TOKEN.search(shown)
            assert found, shown
            self.token = found[1]
        return reply

    def get(self, target: str, **headers: str) -> Reply:
        """A page, as a browser asks for one."""
        return self.send("GET", target, None, {**HTML, **headers})

    def tables(self) -> dict[str, Any]:
        """The tables as the page's script gets them."""
        found: dict[str, Any] = self.get(DATA + "?tables=1").json()["tables"]
        return found

    def form(self, target: str, fields: dict[str, str], **headers: str) -> Reply:
        """A form, as a browser sends it from this gateway's page."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send("POST", target, urlencode(fields).encode(), {**HTML, **OWN, **kind, **headers})

    def act(self, target: str, body: Any = None, **headers: str) -> Reply:
        """What a script of the page sends, with the token of this session."""
        return self.send("POST", target, body, {**OWN, "X-CSRF-Token": self.token, **headers})

    def send(self, method: str, target: str, body: Any, headers: dict[str, str]) -> Reply:
        """A request with the cookie; a header that is empty is left out."""
        sent = {"Cookie": self.cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.gateway.request(method, target, body, {n: v for n, v in sent.items() if v})
