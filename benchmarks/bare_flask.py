"""A bare Flask view: reads the body and answers a completion, and no more."""

from flask import Flask, Response, request

from benchmarks.answers import plain

ANSWER = plain(200).partition(b"\r\n\r\n")[2]
app = Flask(__name__)


@app.get("/health/live")
def live() -> Response:
    """It answers."""
    return Response()


@app.post("/v1/chat/completions")
def answer() -> Response:
    """The upstream's answer, without asking it."""
    request.get_data(cache=False)
    return Response(ANSWER, mimetype="application/json")
