"""The page's own files: few, of fixed names, with nothing of them from elsewhere.

A page names each with a digest of its content, so browsers keep it until there is another.
"""

import hashlib
from functools import cache
from pathlib import Path

from app.routes import ASSETS

FOLDER = Path(__file__).parent / "static"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
KEPT = "public, max-age=31536000, immutable"
ASKED_AGAIN = "no-cache"
DIGEST_CHARS = 12


@cache
def read_asset(name: str) -> bytes:
    """The file; read at its first use."""
    return (FOLDER / name).read_bytes()


@cache
def digest_of(name: str) -> str:
    """What changes with the file's content."""
    return hashlib.sha256(read_asset(name)).hexdigest()[:DIGEST_CHARS]


def address_of(name: str) -> str:
    """Where a page finds the file. Raises KeyError for one that the route table has not."""
    return f"{ASSETS[name]}?v={digest_of(name)}"


def cache_rule(name: str, version: str | None) -> str:
    """How long a browser may keep it: for ever under its own digest, not at all under another's."""
    return KEPT if version == digest_of(name) else ASKED_AGAIN


def type_of(name: str) -> str:
    """The content type of a file."""
    return f"{TYPES[Path(name).suffix]}; charset=utf-8"
