"""Checks of answers: whole ones, streamed ones, and what stands in them."""

import re

from app.doctor.chat import read_stream
from app.doctor.deployment import Deployment
from app.doctor.finding import Finding, fine, trouble
from app.doctor.reading import describe_kind, dig, dig_text, is_stalled

WHOLE_TOKENS, STREAM_TOKENS = 192, 48
STREAM_WISH = "Count from 1 to 40, with a comma after each number."
KNOWN_REASONS = ("stop", "length", "content_filter", "tool_calls", "function_call")
# How families of models mark what they think; the closing one too, since templates may hold the opening one.
THINKING = re.compile(r"</?(?:think|thinking|seed:think)>|\[/?THINK\]|◁/?think▷|<\|channel\|>analysis")
THINKING_ENDS = ["</think>", "[/THINK]"]
FEWEST_EVENTS = 8
EVENTS_TOGETHER = 4  # as many in one piece on average, and it is no accident of the network
LEAST_SECONDS = 0.25  # in less, nobody can tell and nobody minds


def check_answer(deployment: Deployment) -> Finding:
    """Whether an answer comes that is not streamed; it is left where a model stops to think."""
    messages = [{"role": "user", "content": "Reply with the one word: ready"}]
    wish = {"max_tokens": WHOLE_TOKENS, "stop": THINKING_ENDS}
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


def check_stream(deployment: Deployment) -> Finding:
    """Whether a stream comes as one: as events, and as they are.

    It is asked for as OpenCode asks, also by what the request says of compression.
    """
    messages = [{"role": "user", "content": STREAM_WISH}]
    wish = {"max_tokens": STREAM_TOKENS, "stream_options": {"include_usage": True}}
    body = deployment.chat(messages=messages, stream=True, **wish)
    reply = deployment.post(body, {"Accept-Encoding": "gzip, deflate, br, zstd"})
    if reply.status != 200:
        return deployment.explain(reply)
    coding = reply.headers.get("content-encoding", "identity").strip().lower()
    deployment.stream = stream = read_stream(reply)
    deployment.count(stream.usage)
    deployment.texts.append(stream.text)
    cases = (
        ("stream_compressed", coding not in ("", "identity")),
        ("stream_whole", reply.kind != "text/event-stream"),
        ("stream_error", stream.error is not None),
        ("stream_garbage", stream.has_garbage),
        ("stalled", is_stalled(reply)),
        ("stream_cut", reply.failure is not None),
    )
    seen = {"coding": deployment.quote(coding), "kind": describe_kind(reply)}
    found = next((name for name, holds in cases if holds), None)
    message = deployment.quote(stream.error or "")
    return trouble(found, message=message, **seen) if found else fine("comes as events")


def check_stream_pace(deployment: Deployment) -> Finding:
    """Whether events come when they are made.

    A proxy that holds a stream back lets go of many events at once. What a slow network or a busy machine
    does to some of them, it does not do to all.
    """
    stream = deployment.stream
    events, bursts = len(stream.arrivals), stream.bursts()
    first, last = ((stream.arrivals[at] - stream.asked_at) if events else 0.0 for at in (0, -1))
    if last >= LEAST_SECONDS and events >= FEWEST_EVENTS and events >= EVENTS_TOGETHER * bursts:
        shown = {"first": f"{first:.1f}", "whole": f"{last:.1f}"}
        return trouble("stream_buffered", events=events, bursts=bursts, **shown)
    if events < FEWEST_EVENTS:
        return trouble("stream_too_short", events=events)
    if last < LEAST_SECONDS:
        return fine(f"{events} events in {last:.2f} s, too quick to tell one from another")
    return fine(f"{events} events in {bursts} pieces, the first after {first:.1f} s of {last:.1f} s")


def check_stream_end(deployment: Deployment) -> Finding:
    """Whether the stream ended as a client needs it."""
    stream = deployment.stream
    if stream.finish_reason is None:
        return trouble("no_finish_reason")
    if stream.finish_reason not in KNOWN_REASONS:
        return trouble("finish_reason_unknown")
    if not stream.is_done:
        return trouble("no_done")
    if not isinstance(stream.usage, dict):
        return trouble("no_usage")
    return fine(f"finish_reason {stream.finish_reason}, [DONE], usage")


def check_reasoning(deployment: Deployment) -> Finding:
    """Whether thinking is kept apart from what is said."""
    found = next(filter(None, map(THINKING.search, deployment.texts)), None)
    if found:
        return trouble("think_in_text", mark=found[0])
    return fine("kept apart" if deployment.stream.thoughts else "none in the text")
