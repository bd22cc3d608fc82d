"""Clients that ask again once they have their answer."""

import json

from benchmarks.answers import Wish
from benchmarks.bodies import Request, chat, opencode
from benchmarks.client import Connection
from benchmarks.figures import in_milliseconds
from benchmarks.names import DIRECT
from benchmarks.rig import Reading
from benchmarks.stand import Sample, Stand
from benchmarks.subjects import REFUSAL

RAMP_SECONDS = 0.15
LAST_SECONDS = 3.0  # for what is still on its way
CHAT_CLIENTS, CHAT_BYTES = 16, 1000
WRONG_KEY = "sk-wrong-0123456789"
LONG_PROMPT_CLIENTS, SHORT_ANSWER = 4, 8


def closed_loop(stand: Stand, request: Request, clients: int, seconds: float | None = None) -> Reading:
    """So many clients on kept connections, each asking again once it has its answer."""
    request = stand.fit(request)
    window = stand.window()
    with stand.crowd() as crowd:

        def ask_again(connection: Connection) -> None:
            crowd.ask(request, connection)

        crowd.on_end = ask_again
        for _ in range(clients):
            crowd.ask(request)
        crowd.run(RAMP_SECONDS)
        window.start(crowd)
        crowd.run(seconds or stand.seconds)
        reading = window.stop()
        crowd.on_end = None
        if not crowd.run(LAST_SECONDS, lambda: crowd.waiting == 0):
            stand.errors["no end"] += crowd.waiting
    return reading


def plain_chat(stand: Stand) -> Sample:
    """Answers that are not streamed."""
    reading = closed_loop(stand, chat(Wish(), size=CHAT_BYTES), CHAT_CLIENTS)
    return {**_per_answer(reading), **in_milliseconds("latency", reading.tally.latencies)}


def alone(stand: Stand) -> Sample:
    """One client: how long it waits for an answer, and for the first byte of a streamed one.

    CPU time and rate are of the answers that are not streamed.
    """
    half = stand.seconds / 2
    reading = closed_loop(stand, chat(Wish(), size=CHAT_BYTES), 1, half)
    sample = {**_per_answer(reading), **in_milliseconds("latency", reading.tally.latencies)}
    if stand.can_stream:
        streamed = closed_loop(stand, chat(Wish(SHORT_ANSWER), size=CHAT_BYTES), 1, half)
        sample |= in_milliseconds("ttft", streamed.tally.ttfts)
    return sample


def long_prompt(stand: Stand) -> Sample:
    """Prompts of 30 kB with tools, as OpenCode sends them, and short streamed answers."""
    request = opencode(Wish(SHORT_ANSWER))
    reading = closed_loop(stand, request, LONG_PROMPT_CLIENTS)
    received, sent = json.loads(stand.upstream.ask("/__last")), json.loads(request.body)
    if any(received.get(name) != sent[name] for name in ("messages", "tools", "stream")):
        stand.errors["the prompt was changed"] += 1
    return {**_per_answer(reading), **in_milliseconds("ttft", reading.tally.ttfts)}


def wrong_keys(stand: Stand) -> Sample:
    """Refusals of a wrong key; nothing where keys are not checked. Without a proxy, the upstream refuses."""
    if stand.name == DIRECT:
        request = chat(Wish(status=401), size=CHAT_BYTES, status=401)
    else:
        status = REFUSAL.get(stand.name)
        if status is None:
            return {}
        request = chat(Wish(), size=CHAT_BYTES, key=WRONG_KEY, status=status)
    return _per_answer(closed_loop(stand, request, CHAT_CLIENTS))


def _per_answer(reading: Reading) -> Sample:
    return reading.per_unit(reading.tally.answers)
