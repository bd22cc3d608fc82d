"""The WSGI environ of a request (PEP 3333), for the few things that this gateway lets a request say.

gunicorn's own asks the logging system for its handlers, and the configuration for its settings, each time.
"""

from typing import Any

from gunicorn import util

UNIX_SERVER = ("localhost", 80)  # what a Unix socket has instead of a name and a port


def make_environ(base: dict[str, Any], request: Any, sock: Any, listener: Any, peer: Any) -> dict[str, Any]:
    """`base` is what all requests share; `listener` and `peer` are the ends of the connection, no tuples
    where it is a Unix socket's. A field that came more than once is joined.
    """
    name, port = listener[:2] if isinstance(listener, tuple) else UNIX_SERVER
    environ: dict[str, Any] = {
        **base,
        "wsgi.input": request.body,
        "wsgi.url_scheme": "http",
        "gunicorn.socket": sock,
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": util.unquote_to_wsgi_str(request.path),
        "QUERY_STRING": request.query,
        "RAW_URI": request.uri,
        "SERVER_PROTOCOL": f"HTTP/{request.version[0]}.{request.version[1]}",
        "SERVER_NAME": name,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": peer[0] if peer else "",
    }
    if peer:
        environ["REMOTE_PORT"] = str(peer[1])
    for field, value in request.headers:
        key = field.replace("-", "_")
        if field not in ("CONTENT-TYPE", "CONTENT-LENGTH"):
            key = "HTTP_" + key
        earlier = environ.get(key)
        environ[key] = value if earlier is None else f"{earlier},{value}"
    return environ
