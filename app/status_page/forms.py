"""Small forms, as browsers send them."""

from typing import Any
from urllib.parse import parse_qsl

from flask import Request

from app.body import read_body
from app.connection import ClientConnection
from app.errors import BadRequest, RequestTooLarge, UnsupportedMediaType
from app.wire import CONNECTION

MAX_FORM_BYTES = 4096
MAX_FIELDS = 8
FORM = "application/x-www-form-urlencoded"


def is_form(current: Request) -> bool:
    """Whether the body is declared as a form."""
    return current.mimetype == FORM


def read_form(current: Request) -> dict[str, str]:
    """The fields of a form that is still to be read.

    Raises UnsupportedMediaType, RequestTooLarge, RequestTimeout or BadRequest.
    """
    if not is_form(current):
        raise UnsupportedMediaType("The request body must be a form.")
    length = current.content_length
    if length is None or length > MAX_FORM_BYTES:
        raise RequestTooLarge("The form is too large.")
    connection: ClientConnection = current.environ[CONNECTION]
    connection.send_continue()
    stream: Any = current.environ["wsgi.input"]
    with connection.stoppable():
        raw = read_body(stream, length, MAX_FORM_BYTES)
    return parse_form(raw)


def parse_form(raw: bytes) -> dict[str, str]:
    """The fields, each once. Raises BadRequest."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError as error:  # also for bytes that are no text
        raise BadRequest("The form cannot be read.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadRequest("The form cannot be read.")
    return fields
