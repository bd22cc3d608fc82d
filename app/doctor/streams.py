"""Checks of a stream: does it come as one, at the pace of the model, and to its end?"""

from app.doctor.asking import Reply
from app.doctor.chat import ChatStream, read_stream
from app.doctor.deployment import Deployment
from app.doctor.finding import Finding, fine, trouble
from app.doctor.reading import describe_kind, is_stalled

TOKENS = 48
WISH = "Count from 1 to 40, with a comma after each number."
KNOWN_REASONS = ("stop", "length", "content_filter", "tool_calls", "function_call")
FEWEST_EVENTS = 8
EVENTS_TOGETHER = 4  # as many in one piece on average, and it is no accident of the network
LEAST_SECONDS = 0.25  # in less, nobody can tell and nobody minds


def check_stream(deployment: Deployment) -> Finding:
    """Whether a stream comes as one: as events, and as they are."""
    reply = _ask(deployment)
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


def _ask(deployment: Deployment) -> Reply:
    """A stream, asked for as OpenCode asks, also by what the request says of compression."""
    messages = [{"role": "user", "content": WISH}]
    wish = {"max_tokens": TOKENS, "stream_options": {"include_usage": True}}
    body = deployment.chat(messages=messages, stream=True, **wish)
    return deployment.post(body, {"Accept-Encoding": "gzip, deflate, br, zstd"})


def check_stream_pace(deployment: Deployment) -> Finding:
    """Whether events come when they are made.

    A proxy that holds a stream back lets go of many events at once. What a slow network or a busy machine
    does to some of them, it does not do to all.
    """
    found = judge_pace(deployment.stream)
    if found.code != "stream_buffered":
        return found
    again = read_stream(_ask(deployment))  # a machine that was busy for a second is not so twice
    deployment.count(again.usage)
    return judge_pace(again)


def judge_pace(stream: ChatStream) -> Finding:
    """What the times say at which the events of one stream came."""
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
