"""Checks of the model: is it there, and do its limits and the gateway's let OpenCode work?"""

from typing import Any

from app.doctor.asking import Question
from app.doctor.deployment import CHAT, Deployment
from app.doctor.finding import Finding, fine, trouble
from app.doctor.reading import dig, dig_text, error_of
from app.opencode import FULL_WINDOW, MOST_OUTPUT, SMALLEST_WINDOW

MAX_NAMES = 5
LARGE_BODY_BYTES = 1_500_000  # beyond nginx's limit of 1 MiB; OpenCode sends images of several MB


def check_models(deployment: Deployment) -> Finding:
    """Whether there are models, and the one that was named; without a name, the first is taken."""
    content = deployment.expect_json(deployment.get("/v1/models", deployment.credentials))
    listed = dig(content, "data")
    cards = [card for card in listed if dig_text(card, "id")] if isinstance(listed, list) else []
    if not cards:
        return trouble("no_models")
    names = [deployment.quote(card["id"]) for card in cards]
    wish = deployment.wishes.model
    card = next((card for card in cards if wish in (None, card["id"])), None)
    if card is None:
        shown = ", ".join(names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")
        return trouble("model_unknown", wish=deployment.quote(wish or ""), names=shown)
    deployment.model = card["id"]
    window = card.get("max_model_len")
    deployment.window = window if type(window) is int and window > 0 else None
    others = f", and {len(cards) - 1} more" if len(cards) > 1 else ""
    return fine(deployment.quote(card["id"]) + others)


def check_window(deployment: Deployment) -> Finding:
    """Whether OpenCode's own prompt fits, with room for code."""
    window = deployment.window
    if window is None:
        return trouble("window_unknown")
    sizes: dict[str, Any] = {"window": window, "smallest": SMALLEST_WINDOW, "full": FULL_WINDOW}
    if window < SMALLEST_WINDOW:
        return trouble("window_too_small", **sizes)
    return trouble("window_small", **sizes) if window < FULL_WINDOW else fine(f"{window} tokens")


def check_max_tokens(deployment: Deployment) -> Finding:
    """Whether an answer may be as long as the opencode.json says that is written for this window.

    Nothing long is made: the answer ends at its first blank, and is left at its first event.
    """
    tokens = min(MOST_OUTPUT, (deployment.window or 4 * MOST_OUTPUT) // 4)
    messages = [{"role": "user", "content": "Say yes."}]
    body = deployment.chat(messages=messages, max_tokens=tokens, stream=True, stop=[" ", "\n", ".", ","])
    reply = deployment.post_for_head(body)
    if reply.status == 200:
        return fine(f"answers of {tokens} tokens may be asked for")
    _, message = error_of(reply)
    if reply.status == 400:
        return trouble("max_tokens_refused", tokens=tokens, message=deployment.quote(message))
    return deployment.explain(reply)


def check_body(deployment: Deployment) -> Finding:
    """Whether a body as long as a conversation with images arrives; it is no JSON, so no model sees it."""
    body = b" " * LARGE_BODY_BYTES + b"!"
    reply = deployment.client.ask(Question("POST", CHAT, deployment.credentials, body))
    if reply.status == 413:
        megabytes = f"{LARGE_BODY_BYTES / 1e6:g}"
        return trouble("body_refused", megabytes=megabytes, status=reply.status)
    code, _ = error_of(reply)
    return fine("bodies of 1.5 MB arrive") if code == "invalid_json" else deployment.explain(reply)
