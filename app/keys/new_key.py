"""New keys: `vgw_<id>_<secret><checksum>`, in base62.

The prefix lets secret scanners find one that leaked, the id (8 characters) names it in logs and lists, the
secret has 30 characters (178 bits), and the checksum (6 characters, CRC-32 of all before) shows a cut one.
"""

import re
import secrets
import string
import zlib

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX = "vgw"
ID_CHARS, SECRET_CHARS, CHECKSUM_CHARS = 8, 30, 6


def make_key() -> tuple[str, str]:
    """A new key and its id for the key file."""
    short_id = _random(ID_CHARS)
    body = f"{PREFIX}_{short_id}_{_random(SECRET_CHARS)}"
    return body + _checksum(body), f"k_{short_id}"


def has_wrong_checksum(key: str) -> bool:
    """Whether it has our prefix but is not whole; keys of any other form are never judged."""
    body, checksum = key[:-CHECKSUM_CHARS], key[-CHECKSUM_CHARS:]
    return re.match(rf"{PREFIX}_[0-9A-Za-z]{{{ID_CHARS}}}_", key) is not None and checksum != _checksum(body)


def _random(length: int) -> str:
    return "".join(secrets.choice(BASE62) for _ in range(length))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_CHARS):
        number, digit = divmod(number, len(BASE62))
        digits = BASE62[digit] + digits
    return digits
