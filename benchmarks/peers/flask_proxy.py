"""The proxy of an afternoon: Flask in front, `requests` behind, `iter_content` between them."""

import os

import requests
from flask import Flask, Response, abort, request

API_KEY = os.environ["API_KEY"]
UPSTREAM_URL = os.environ["UPSTREAM_URL"]

app = Flask(__name__)


@app.before_request
def check_key() -> None:
    """A wrong key is a 401."""
    if request.path != "/health/live" and request.headers.get("X-API-Key") != API_KEY:
        abort(401)


@app.get("/health/live")
def live() -> str:
    """The process answers."""
    return ""


@app.post("/v1/<path:path>")
def relay(path: str) -> Response:
    """Send it on, and stream what comes back."""
    answer = requests.post(
        f"{UPSTREAM_URL}/v1/{path}",
        data=request.get_data(),
        headers={"Content-Type": request.content_type or ""},
        stream=True,
        timeout=300,
    )
    return Response(
        answer.iter_content(None), status=answer.status_code, content_type=answer.headers["Content-Type"]
    )
