"""Origins of web pages, as browsers write them in the field `Origin` (RFC 6454)."""

import re

EVERY_ORIGIN = "*"
# In lower case, without the port that its scheme has anyway, and with nothing behind it.
ORIGIN = re.compile(
    r"(?!http://[^/]*:80\Z|https://[^/]*:443\Z)"
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?",
    re.ASCII,
)


def parse_origins(text: str) -> frozenset[str]:
    """The origins of a list with commas, or `*` alone. Raises ValueError for what no browser would send."""
    origins = frozenset(origin.strip() for origin in text.split(","))
    if origins != {EVERY_ORIGIN} and not all(ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError(text)
    return origins
