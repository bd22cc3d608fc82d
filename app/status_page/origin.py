"""Where a browser's request comes from: this gateway's own page, and over https or not."""

from urllib.parse import urlsplit

from werkzeug.datastructures import Headers


def is_own(headers: Headers) -> bool:
    """Whether a browser says that its own page of this gateway sent this.

    Sec-Fetch-Site decides where it is there (Fetch Metadata; browsers send it over https and to localhost,
    and no page can set it). Else Origin has to name the host that was asked. A request with neither is no
    browser's.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    try:
        origin = urlsplit(headers.get("Origin", ""))
    except ValueError:
        return False
    host = headers.get("Host", "").lower()
    return origin.scheme in ("http", "https") and bool(host) and origin.netloc.lower() == host


def is_https(headers: Headers, proxy_hops: int) -> bool:
    """Whether the client's connection is encrypted, as the proxies tell that are trusted.

    Each proxy appends to X-Forwarded-Proto or replaces it; without a trusted one, anybody may have written
    it.
    """
    told = [part.strip().lower() for part in headers.get("X-Forwarded-Proto", "").split(",")]
    return proxy_hops > 0 and told[-min(proxy_hops, len(told))] == "https"
