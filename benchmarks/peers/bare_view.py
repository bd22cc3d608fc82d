"""A bare Flask view that answers at once: what Flask and the worker cost by themselves."""

import json

from flask import Flask, Response

MESSAGE = {"role": "assistant", "content": "The capital of France is Paris. " * 7}
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1763800000,
        "model": "fake/model-1",
        "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 50, "total_tokens": 57},
    }
)  # about 500 bytes

app = Flask(__name__)


@app.get("/health/live")
def live() -> str:
    """The process answers."""
    return ""


@app.post("/<path:_path>")
def answer(_path: str) -> Response:
    """The same small JSON to everyone; it reads neither key nor body."""
    return Response(ANSWER, mimetype="application/json")
