"""Recognise a client that compacts its conversation and comes back without end with what never fits.

OpenCode 1.18 answers every overflow with a compaction and the same prompt again. Where that cannot help, as
where its fixed prompt alone is larger than the model's window, it makes hundreds of requests a minute.
"""

import hmac
import mmap
import re
import time

import msgspec
from werkzeug.datastructures import Headers

from app.errors import CompactionLoop

COMEBACKS = 3  # a prompt that was replayed once may still fit when it is summarised itself
MEMORY_SECONDS = 600  # between two of them: a slow model needs minutes to compact
PLACES = 1024
SECOND = 0xFFFFFF  # of the monotonic clock, as far as it is kept
READ_BYTES = 1024  # of a refusal: it says at once what is wrong, and may repeat what the client sent
SESSION = ("X-Session-Id", "X-Session-Affinity")
SIZE_BITS = 12  # bodies that differ by less than 4 KiB are taken for the same: summaries differ
TOO_MANY_BYTES = (
    "This prompt has more bytes than the gateway takes, and compacting the conversation does not help. "
    "Attach less, or start the gateway with a larger MAX_REQUEST_BYTES."
)
# What OpenCode 1.18.33 takes for an overflow, from its own code, with bounds; rate limits it looks for first.
OVERFLOW = re.compile(
    rb"prompt is too long|request_too_large|input is too long for requested model|exceeds the context window"
    rb"|exceeds (?:the )?(?:model'?s )?maximum context length(?: of [\d,]+ tokens?|\s*\([\d,]+\))"
    rb"|input token count.{0,80}exceeds the maximum|tokens in request more than max tokens allowed"
    rb"|maximum prompt length is \d+|reduce the length of the messages|maximum context length is \d+ tokens"
    rb"|exceeds (?:the )?maximum allowed input length of [\d,]+ tokens?"
    rb"|input \(\d+ tokens\) is longer than the model'?s context length \(\d+ tokens\)"
    rb"|exceeds the limit of \d+|exceeds the available context size|greater than the context length"
    rb"|context window exceeds limit|exceeded model token limit|context[_ ]length[_ ]exceeded"
    rb"|request entity too large|context length is only \d+ tokens"
    rb"|input length.{0,80}exceeds.{0,80}context length"
    rb"|prompt too long; exceeded (?:max )?context length|too large for model with \d+ maximum context length"
    rb"|prompt has [\d,]+ tokens?, but the configured context size is [\d,]+ tokens?"
    rb"|model_context_window_exceeded|too many tokens|token limit exceeded",
    re.IGNORECASE,
)
LIMITED = re.compile(rb"rate limit|too many requests", re.IGNORECASE)


class Message(msgspec.Struct):
    """One message of a chat, its content as it came."""

    role: str = ""
    content: msgspec.Raw = msgspec.Raw(b"")


class Chat(msgspec.Struct):
    """What is looked at of a request: all else is skipped, unparsed."""

    messages: list[msgspec.Raw] = []


def is_overflow(status: int, raw: bytes) -> bool:
    """Whether OpenCode takes this refusal as a sign to compact."""
    if status == 413:
        return True
    said = raw[:READ_BYTES]
    return status == 400 and OVERFLOW.search(said) is not None and LIMITED.search(said) is None


def waiting_prompt(body: bytes) -> bytes | None:
    """The user's message that this request waits for an answer to, as its JSON came.

    None where the last message is not the user's: then the model has gone on meanwhile, and it is no loop.
    """
    try:
        messages = msgspec.json.decode(body, type=Chat).messages
        last = msgspec.json.decode(messages[-1], type=Message)
    except (msgspec.DecodeError, IndexError):
        return None
    return bytes(last.content) if last.role == "user" else None


class Overflows:
    """Counts the prompts of each session that came back unanswered, over all workers of the instance.

    They share one small table, mapped before the fork. Each place is one word, stored at once: 32 bits of a
    hash, 8 of the count, 24 of the second. Who comes to a taken place takes it over, so memory is bounded,
    and a collision can only make a count start anew.
    """

    def __init__(self) -> None:
        words = memoryview(mmap.mmap(-1, 8 * (PLACES + 1))).cast("Q")
        self._places, self._last = words[:PLACES], words[PLACES:]

    @property
    def are_recent(self) -> bool:
        """Whether anything can be remembered at this moment."""
        return self._last[0] > 0 and time.monotonic() - self._last[0] <= MEMORY_SECONDS

    def check_refusal(self, status: int, raw: bytes, client: Headers, secret: bytes, body: bytes) -> None:
        """Raises CompactionLoop when the prompt of this body was refused for its length again and again.

        `raw` is the body of the refusal, `secret` that of the key. Who names no session is left alone.
        """
        if is_overflow(status, raw) and (prompt := waiting_prompt(body)) is not None:
            self._count(client, secret, prompt, CompactionLoop())

    def check_size(self, length: int | None, client: Headers, secret: bytes) -> None:
        """The same for a body of so many bytes that is too large to be read."""
        if length is not None:
            self._count(client, secret, b"%d" % (length >> SIZE_BITS), CompactionLoop(TOO_MANY_BYTES))

    def note_answer(self, client: Headers, secret: bytes, body: bytes) -> None:
        """The prompt of this body is being answered: it fits, so it starts anew."""
        if (session := session_of(client)) and (prompt := waiting_prompt(body)) is not None:
            place, mark = find_place(secret, session, prompt)
            if self._places[place] >> 32 == mark:
                self._places[place] = 0

    def _count(self, client: Headers, secret: bytes, prompt: bytes, error: CompactionLoop) -> None:
        session = session_of(client)
        if session and self._add(*find_place(secret, session, prompt)) >= COMEBACKS:
            raise error

    def _add(self, place: int, mark: int) -> int:
        """How often this has come, with no long pause in between; at most 255."""
        self._last[0] = now = int(time.monotonic())
        known = self._places[place]
        is_same = known >> 32 == mark and (now - known) & SECOND <= MEMORY_SECONDS
        count = min(255, (known >> 24 & 0xFF) + 1) if is_same else 1
        self._places[place] = mark << 32 | count << 24 | now & SECOND
        return count


def session_of(client: Headers) -> str:
    """The session that the client names, or an empty text."""
    return next((found for name in SESSION if (found := client.get(name, ""))), "")


def find_place(secret: bytes, session: str, prompt: bytes) -> tuple[int, int]:
    """Where a prompt of this session is counted, and by which 32 bits it is known there."""
    digest = hmac.digest(secret, session.encode() + b"\n" + prompt, "sha256")
    return int.from_bytes(digest[:4], "big") % PLACES, int.from_bytes(digest[4:8], "big")
