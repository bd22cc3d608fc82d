"""Ask a server that may answer anything, or nothing: every exchange ends in time.

Redirects are not followed, and no password of `~/.netrc` is sent in the key's place.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests

from app.doctor.causes import FAILURES, certificate_reason, code_of
from app.doctor.finding import Finding, Stopped, trouble

CONNECT_SECONDS = 10.0
TOLD_EVERY_SECONDS = 10.0
ANSWER_SECONDS = 60.0  # for a whole answer, its generation included
MAX_BODY_BYTES = 4 * 1024 * 1024
READ_BYTES = 65536


class TooLarge(ValueError):
    """The body goes on and on."""


def _until_the_end(_piece: bytes) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Question:
    """One request. `stop` hears each piece of the answer's body, and ends it by True."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | dict[str, Any] | None = None
    seconds: float = ANSWER_SECONDS
    stop: Callable[[bytes], bool] = _until_the_end

    def content(self) -> bytes | None:
        """The body as it is sent: an object as JSON."""
        return msgspec.json.encode(self.body) if isinstance(self.body, dict) else self.body


@dataclass(slots=True)
class Reply:
    """One answer as it came. Times are of the monotonic clock; header names are in small letters."""

    asked_at: float
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    head_at: float = 0.0
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    failure: BaseException | None = None  # why it is not whole
    is_over: bool = False  # nothing more will come
    is_given_up: bool = False  # nobody waits for more

    @property
    def body(self) -> bytes:
        """What came of the body."""
        return b"".join(piece for _, piece in tuple(self.pieces))

    @property
    def kind(self) -> str:
        """Its media type, without parameters."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    @property
    def seconds(self) -> float:
        """From the request to the head of the answer."""
        return self.head_at - self.asked_at


class Client:
    """Asks one server, over connections that are kept; `asked` counts the requests.

    `tell` hears of long waits.
    """

    def __init__(self, url: str, headers: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self.url = url
        self._tell = tell
        self.asked = 0
        self.request_id = ""  # of the last answer that had one
        self._headers = {"User-Agent": "vllm-gateway-doctor", "Accept": "*/*", **headers}
        self._session = requests.Session()
        self._session.headers.clear()
        self._session.auth = _no_password

    def close(self) -> None:
        """Give up the connections."""
        self._session.close()

    def ask(self, question: Question) -> Reply:
        """One exchange, which ends after `question.seconds` at the latest.

        Raises Stopped when there is no answer at all; one that breaks off has its `failure`.
        """
        self.asked += 1
        reply = Reply(time.monotonic())
        # A thread, since neither the look-up of a name nor a head that drips has a time limit of its own.
        thread = threading.Thread(target=self._exchange, args=(question, reply), daemon=True)
        thread.start()
        self._wait(thread, reply.asked_at, question.seconds)
        reply.is_given_up = True
        if reply.failure is None and not reply.is_over:
            reply.failure = TimeoutError()
        if not reply.head_at:
            raise Stopped(self._explain(reply.failure or TimeoutError(), question.seconds))
        self.request_id = reply.headers.get("x-request-id", self.request_id)
        return reply

    def _wait(self, thread: threading.Thread, since: float, seconds: float) -> None:
        while thread.is_alive() and (left := since + seconds - time.monotonic()) > 0:
            thread.join(min(left, TOLD_EVERY_SECONDS))
            if thread.is_alive():
                self._tell(f"waiting for an answer, {time.monotonic() - since:.0f} s")

    def _exchange(self, question: Question, reply: Reply) -> None:
        session, limits = self._session, (min(CONNECT_SECONDS, question.seconds), question.seconds)
        try:
            prepared = session.prepare_request(self._prepare(question))
            url = prepared.url or self.url
            settings: dict[str, Any] = {**session.merge_environment_settings(url, {}, True, None, None)}
            # Past the session's own `send`, which reads the whole body of a redirect, however long it is.
            with session.get_adapter(url).send(prepared, timeout=limits, **settings) as response:
                _read(response, reply, question.stop)
        except FAILURES as error:
            reply.failure = error
        finally:
            reply.is_over = True

    def _prepare(self, question: Question) -> requests.Request:
        declared = {} if question.body is None else {"Content-Type": "application/json"}
        headers = {**self._headers, **declared, **question.headers}
        return requests.Request(question.method, self.url + question.path, headers, data=question.content())

    def _explain(self, error: BaseException, seconds: float) -> Finding:
        code = "no_answer" if isinstance(error, TimeoutError) else code_of(error)
        parts = urlsplit(self.url)
        reason = certificate_reason(error).rstrip(".")
        return trouble(code, place=parts.netloc, host=parts.hostname, reason=reason, seconds=round(seconds))


def _read(response: requests.Response, reply: Reply, stop: Callable[[bytes], bool]) -> None:
    """Note each piece of the body when it comes, and as it comes: not decoded, in no larger blocks."""
    reply.headers = {name.lower(): value for name, value in response.headers.items()}
    reply.status, reply.head_at = response.status_code, time.monotonic()
    size = 0
    while not reply.is_given_up and (piece := response.raw.read1(READ_BYTES, decode_content=False)):
        reply.pieces.append((time.monotonic(), piece))
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise TooLarge
        if stop(piece):
            return


def _no_password(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
