"""What every answer of the gateway must be, whatever was asked."""

import json
import re
from typing import Any

from app.errors import InvalidJson, UnsupportedMediaType
from tests.fuzz.inputs import PASSES
from tests.fuzz.reading import Message

STATUSES = frozenset((200, 400, 401, 403, 404, 405, 408, 413, 414, 415, 417, 431))
REFUSAL = {"error": {"message": "The stand-in refuses this.", "type": "BadRequestError", "code": 400}}
LEAKS = re.compile(
    rb"traceback|<html|<!doctype|file \"|site-packages|gunicorn|werkzeug|\.py\b|/(?:tmp|root|home|usr|etc)/",
    re.IGNORECASE,
)
THREE_DIGITS = re.compile(r"[0-9]{3}")
TOLD = (InvalidJson, UnsupportedMediaType)  # by their texts alone, where the shape has no code
TARGET_TOO_LONG = b"414"  # to be read, so nobody knows what it was
ANTHROPIC = (b"/v1/messages", b"/v1/messages/count_tokens")
NEEDED = {401: b"www-authenticate", 405: b"allow"}
UNWANTED = frozenset((b"server", b"location", b"set-cookie", b"x-powered-by", b"via"))
REQUEST_ID = re.compile(rb"req_[0-9a-f]{32}")


def judge(answer: Message, expected: str | None = None, target: bytes | None = None) -> list[str]:
    """What is wrong with an answer to a request for this target, in words."""
    status = int(answer.start[1])
    names = {name for name, _ in answer.fields}
    problems = [f"the header {name.decode()}" for name in sorted(names & UNWANTED)]
    if status not in STATUSES:
        problems.append(f"the status {status}")
    if not REQUEST_ID.fullmatch(answer.field(b"x-request-id")):
        problems.append("no request id")
    if answer.field(b"x-content-type-options") != b"nosniff":
        problems.append("a type that may be guessed")
    if answer.field(b"connection") not in (b"close", b"keep-alive"):
        problems.append(f"the connection field {answer.field(b'connection')!r}")
    if status in NEEDED and NEEDED[status] not in names:
        problems.append(f"a {status} without {NEEDED[status].decode()}")
    if status >= 400 and answer.field(b"content-length") == b"0":
        problems.append("an error without a body")
    if status >= 400 and answer.body:
        problems += judge_error(answer, target)
    return problems + judge_verdict(answer, expected)


def judge_error(answer: Message, target: bytes | None) -> list[str]:
    """What is wrong with the body of an error."""
    problems = []
    if LEAKS.search(answer.body):
        problems.append("an error that tells about the host")
    if answer.field(b"content-type") != b"application/json":
        problems.append(f"an error of the type {answer.field(b'content-type')!r}")
    if answer.field(b"cache-control") != b"no-store":
        problems.append("an error that may be stored")
    error = error_of(answer)
    if error is None:
        return [*problems, "an error of no known shape"]
    if answer.start[1].startswith(b"4") and THREE_DIGITS.search(str(error["message"])):
        problems.append("an error text with digits")
    if target is not None and answer.start[1] != TARGET_TOO_LONG:
        is_anthropic = target.split(b"?")[0] in ANTHROPIC
        is_fitting = "code" not in error if is_anthropic else "code" in error
        problems += [] if is_fitting or error == REFUSAL["error"] else ["an error in the other API's shape"]
    return problems


def error_of(answer: Message) -> dict[str, Any] | None:
    """The error in OpenAI's shape or in Anthropic's; None for any other body."""
    try:
        content = json.loads(answer.body)
        error = content["error"]
        fields = {name: type(value) for name, value in error.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    is_text = fields.get("message") is str and fields.get("type") is str
    is_openai = content.keys() == {"error"} and fields.keys() == {"message", "type", "param", "code"}
    is_anthropic = content == {"type": "error", "error": error} and fields.keys() == {"message", "type"}
    if content == REFUSAL or (is_text and (is_anthropic or (is_openai and fields["code"] is str))):
        return dict(error)
    return None


def judge_verdict(answer: Message, expected: str | None) -> list[str]:
    """Whether the answer is the one that was expected, as far as one was.

    What passes may be refused all the same for the value of a field.
    """
    if expected is None:
        return []
    status, error = int(answer.start[1]), error_of(answer) if answer.body else None
    code = "success" if error is None else error.get("code", code_by_text(error["message"]))
    passed = status == 200 or code in (REFUSAL["error"]["code"], "invalid_field")
    return [] if code == expected or (expected == PASSES and passed) else [f"{status} {code}, not {expected}"]


def code_by_text(message: str) -> str:
    """The code of an error in Anthropic's shape."""
    codes = (kind.code for kind in TOLD if message.startswith(kind.message.removesuffix(".")))
    return next(codes, "invalid_field")
