"""Checks of the key: its form, whether it is accepted, and whether others are not."""

import re

from app.auth import JWT_HINT
from app.doctor.asking import Reply
from app.doctor.deployment import Deployment
from app.doctor.finding import Finding, fine, trouble
from app.doctor.reading import HTML, RETRIED, describe_kind, error_of
from app.keys.new_key import has_wrong_checksum

MODELS = "/v1/models"
QUOTES = "\"'`“”‘’«»"
# A variable that nobody filled in, a header's value in the key's place, or an example's text.
PLACEHOLDER = re.compile(r"\$\{?\w+\}?|%\w+%|\{(env|file):[^}]*\}|(?i:bearer)\s.*|.*(…|\.\.\.)|<.*>")
JWT = re.compile(r"ey[\w-]*\.[\w-]*\.[\w-]*")
VISIBLE = re.compile(r"[\x21-\x7e]+")


def check_key_form(deployment: Deployment) -> Finding:
    """Whether what was given can be a key. Nothing is sent."""
    given, key = deployment.wishes.key, deployment.key
    cases = (
        ("key_empty", not key),
        ("key_line_end", given.strip(" \t") != key),
        ("key_quoted", key[:1] in QUOTES or key[-1:] in QUOTES),
        ("key_placeholder", PLACEHOLDER.fullmatch(key) is not None),
        ("key_malformed", VISIBLE.fullmatch(key) is None),
        ("key_is_token", JWT.fullmatch(key) is not None),
        ("key_incomplete", has_wrong_checksum(key)),
        ("key_blank", given != key),
    )
    found = next((name for name, holds in cases if holds), None)
    return trouble(found) if found else fine("looks like one")


def check_no_key(deployment: Deployment) -> Finding:
    """Whether a request without a key is refused."""
    reply = deployment.get(MODELS)
    if reply.status == 200:
        return trouble("open")
    return fine("refused") if reply.status == 401 else deployment.explain(reply)


def check_wrong_key(deployment: Deployment) -> Finding:
    """Whether a made-up key is refused."""
    deployment.refusal = reply = deployment.get(MODELS, deployment.made_up())
    if reply.status == 200:
        return trouble("any_key")
    return fine("refused") if reply.status in (401, 403) else deployment.explain(reply)


def check_refusal(deployment: Deployment) -> Finding:
    """Whether that refusal ends OpenCode's attempts, with one sentence."""
    reply = deployment.refusal
    found = RETRIED.search(reply.body.decode(errors="replace"))
    if found:
        return trouble("refusal_retried", reason=deployment.quote(found[0]))
    _, message = error_of(reply)
    if reply.kind in HTML or not message:
        return trouble("refusal_unreadable", status=reply.status, kind=describe_kind(reply))
    return fine("one sentence, and final")


def check_key(deployment: Deployment) -> Finding:
    """Whether the key is accepted in X-API-Key, or else as a Bearer token."""
    reply = deployment.get(MODELS, deployment.direct)
    if reply.status == 200:
        return fine("accepted in X-API-Key")
    code, _ = error_of(reply)
    if code == "missing_or_invalid_key" and deployment.get(MODELS, deployment.bearer).status == 200:
        return trouble("x_api_key_lost")
    return deployment.explain(reply)


def check_bearer(deployment: Deployment) -> Finding:
    """Whether the key is accepted as SDKs send it."""
    reply = deployment.get(MODELS, deployment.bearer)
    if reply.status == 200:
        return fine("accepted as a Bearer token")
    if _met_a_token(reply):
        return trouble("bearer_replaced")
    return trouble("bearer_refused") if reply.status in (401, 403) else deployment.explain(reply)


def _met_a_token(reply: Reply) -> bool:
    code, message = error_of(reply)
    return code == "missing_or_invalid_key" and message == JWT_HINT
