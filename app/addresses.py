"""Addresses of servers and of models, as settings name them; each check raises ValueError."""

import os
import re
from urllib.parse import SplitResult, urlsplit

HOSTNAME = re.compile(r"[\w.:%-]+", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # urlsplit drops some of them without a word
IN_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^/\s?#]+)*/?")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAX_SOCKET_PATH_BYTES = 107  # sun_path of Linux, less its NUL


def check_upstream(url: str) -> None:
    """A server over HTTP, or the path of a Unix socket."""
    parts = _split(url)
    fits = 1 < len(os.fsencode(parts.path)) <= MAX_SOCKET_PATH_BYTES
    is_socket = parts.scheme == "unix" and not parts.netloc and fits
    if not (is_socket or _is_root(parts)):
        raise ValueError


def check_key_store(url: str) -> None:
    """A server; keys come from there, so in clear text only from this machine."""
    parts = _split(url)
    if not _is_root(parts) or (parts.scheme == "http" and parts.hostname not in LOOPBACK):
        raise ValueError


def check_collector(url: str) -> None:
    """A place on a server."""
    if not _is_server(_split(url)):
        raise ValueError


def _split(url: str) -> SplitResult:
    """An address: nobody's name in it, a port that can be, and no more behind it than a path."""
    parts = urlsplit(url)
    port_is_valid = parts.port is None or parts.port > 0
    is_more = parts.query or parts.fragment or "@" in parts.netloc or CONTROL.search(url)
    if not port_is_valid or is_more:
        raise ValueError
    return parts


def _is_server(parts: SplitResult) -> bool:
    return parts.scheme in ("http", "https") and HOSTNAME.fullmatch(parts.hostname or "") is not None


def _is_root(parts: SplitResult) -> bool:
    return _is_server(parts) and parts.path in ("", "/")


def check_model_place(path: str) -> None:
    """A folder here, or one in a bucket, which is vLLM's to see."""
    if not (IN_BUCKET.fullmatch(path) or os.path.isdir(path)):
        raise ValueError
