"""Checks of answers: does a whole one come, and what stands in all of them?"""

import re

from app.doctor.deployment import Deployment
from app.doctor.finding import Finding, fine, trouble
from app.doctor.reading import describe_kind, dig, dig_text

TOKENS = 192
# How families of models mark what they think; the closing one too, since templates may hold the opening one.
THINKING = re.compile(
    r"</?(?:think|thinking|seed:think)>|\[/?THINK\]|◁/?think▷|<\|channel\|>analysis"
    r"|\banalysis(?=.*assistantfinal)",
    re.DOTALL,
)
THINKING_ENDS = ["</think>", "[/THINK]"]


def check_answer(deployment: Deployment) -> Finding:
    """Whether an answer comes that is not streamed; it is left where a model stops to think."""
    messages = [{"role": "user", "content": "Reply with the one word: ready"}]
    wish = {"max_tokens": TOKENS, "stop": THINKING_ENDS}
    reply = deployment.post(deployment.chat(messages=messages, stream=False, **wish))
    if reply.status != 200 or reply.failure is not None:
        return deployment.explain(reply)
    content = deployment.expect_json(reply)
    message = dig(content, "choices", 0, "message")
    if not isinstance(message, dict):
        return trouble("answer_unreadable", kind=describe_kind(reply))
    deployment.count(dig(content, "usage"))
    # Where thinking ended, vLLM says at which mark; without a parser the thoughts are the answer.
    ended_at = dig_text(content, "choices", 0, "stop_reason")
    said = dig_text(message, "content")
    deployment.texts.append(said + ended_at if said and ended_at in THINKING_ENDS else said)
    return fine(f"comes, in {reply.seconds:.1f} s")


def check_reasoning(deployment: Deployment) -> Finding:
    """Whether thinking is kept apart from what is said."""
    found = next(filter(None, map(THINKING.search, deployment.texts)), None)
    if found:
        return trouble("think_in_text", mark=found[0])
    return fine("kept apart" if deployment.stream.thoughts else "none in the text")
