"""Why no answer came: from what the HTTP library raises to a trouble of the catalogue."""

import http.client
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3
from urllib3.exceptions import ProxyError

# Whatever a server sends, it ends in one of these; ValueError stands for what cannot be encoded or decoded.
FAILURES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)

# Specific ones first: each is told by an exception somewhere in the chain.
CAUSES: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    ("proxy_failed", (ProxyError,)),
    ("dns", (socket.gaierror, UnicodeError)),
    ("refused", (ConnectionRefusedError,)),
    ("tls_certificate", (ssl.SSLCertVerificationError,)),
    ("tls_failed", (ssl.SSLError,)),
    ("no_answer", (urllib3.exceptions.ReadTimeoutError,)),
    ("unreachable", (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError)),
    ("cut", (ConnectionError, EOFError)),
)


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """The exception, and all that it was made of, each once."""
    waiting, seen = [error], set()
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        parts = (found.__cause__, found.__context__, getattr(found, "reason", None), *found.args)
        waiting += [part for part in parts if isinstance(part, BaseException)]


def code_of(error: BaseException) -> str:
    """The trouble that fits best; `not_http` for what could be read, but not understood."""
    chain = list(chain_of(error))
    for code, kinds in CAUSES:
        if any(isinstance(found, kinds) for found in chain):
            return code
    if any("IncompleteRead" in repr(found) for found in chain):
        return "cut"
    return "not_http"


def certificate_reason(error: BaseException) -> str:
    """What is wrong with the certificate, as OpenSSL says it."""
    for found in chain_of(error):
        if isinstance(found, ssl.SSLCertVerificationError):
            return str(found.verify_message)
    return "it was not accepted"
