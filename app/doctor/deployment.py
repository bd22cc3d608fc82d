"""The deployment that is looked at: where it is, whose key is used, and what is known of it so far."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from app.doctor.asking import Client, Question, Reply
from app.doctor.chat import ChatStream
from app.doctor.finding import Finding, Stopped
from app.doctor.reading import dig, error_of, explain, read_json

MAX_QUOTED_CHARS = 160
HIDDEN = "…"
CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person gave: the address, the key as it was typed, and the limits of the examination."""

    url: str
    key: str = field(repr=False)
    model: str | None = None
    wait: float = 120.0  # seconds, for a model that loads
    identity_token: str = field(default="", repr=False)


class Deployment:
    """Asks it with the key, as OpenCode does, and keeps what several checks need."""

    def __init__(self, wishes: Wishes, tell: Callable[[str], None]) -> None:
        self.wishes = wishes
        self.url = wishes.url.rstrip("/").removesuffix("/v1")
        self.key = wishes.key.strip()
        self.tell = tell  # of progress, to a person who waits
        self.first = self.refusal = Reply(0.0)  # of a made-up key, the latter
        self.model = ""
        self.window: int | None = None
        self.tokens = 0  # that were generated, as far as the answers told
        self.texts: list[str] = []  # what the model said
        self.stream = ChatStream()
        self._secrets = [secret for secret in (self.key, wishes.identity_token.strip()) if secret]
        token = wishes.identity_token.strip()
        # Cloud Run looks there first, and leaves Authorization to the gateway.
        always = {"X-Serverless-Authorization": f"Bearer {token}"} if token else {}
        self.client = Client(self.url, always, tell)

    @property
    def host(self) -> str:
        """The name or address in the URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def credentials(self) -> dict[str, str]:
        """The key in both headers, as OpenCode sends it."""
        return {**self.direct, **self.bearer}

    @property
    def direct(self) -> dict[str, str]:
        """The key in X-API-Key."""
        return {"X-API-Key": self.key}

    @property
    def bearer(self) -> dict[str, str]:
        """The key as a Bearer token."""
        return {"Authorization": f"Bearer {self.key}"}

    @staticmethod
    def made_up() -> dict[str, str]:
        """A key that nobody has, and that no text of it makes look like one of OpenCode's retries."""
        return {"X-API-Key": "sk-doctor-" + "".join(secrets.choice("abcdefgh") for _ in range(24))}

    def get(self, path: str, headers: Mapping[str, str] | None = None, seconds: float = 30.0) -> Reply:
        """Ask for a path. Raises Stopped when no answer comes."""
        return self.client.ask(Question("GET", path, headers or {}, seconds=seconds))

    def chat(self, **fields: Any) -> dict[str, Any]:
        """The body of a request to the model."""
        return {"model": self.model, "temperature": 0, **fields}

    def post(self, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
        """Ask the model, and read the whole answer."""
        return self.client.ask(Question("POST", CHAT, {**self.credentials, **(headers or {})}, body))

    def post_for_head(self, body: dict[str, Any]) -> Reply:
        """Ask the model, and leave at the first bytes of a good answer, which ends it."""
        question = Question("POST", CHAT, self.credentials, body, stop=lambda piece: b"data:" in piece)
        return self.client.ask(question)

    def count(self, usage: Any) -> None:
        """Add what an answer says that it cost."""
        made = dig(usage, "completion_tokens")
        self.tokens += made if isinstance(made, int) and 0 < made < 1_000_000 else 0

    def quote(self, text: str) -> str:
        """A text of the server, fit for a terminal and a log: short, printable, and without the key."""
        printable = "".join(char if char.isprintable() else " " for char in text)
        for secret in self._secrets:
            printable = printable.replace(secret, HIDDEN)
        short = " ".join(printable.split())
        return short if len(short) <= MAX_QUOTED_CHARS else short[: MAX_QUOTED_CHARS - 1] + "…"

    def explain(self, reply: Reply) -> Finding:
        """Why this is not the answer that was expected, with the server's own words."""
        if 300 <= reply.status < 400:
            return explain(reply, self.quote(reply.headers.get("location", "").split("?")[0]))
        return explain(reply, self.quote(error_of(reply)[1]))

    def expect_json(self, reply: Reply) -> Any:
        """The JSON of a good answer. Raises Stopped for any other."""
        content = read_json(reply.body)
        if reply.status != 200 or reply.failure is not None or content is None:
            raise Stopped(self.explain(reply))
        return content
