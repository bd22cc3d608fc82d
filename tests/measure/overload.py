"""Four times as many clients as requests are let in: the rest is refused at once, and slows nobody down."""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.client import KEY
from tests.gateway import chat_body
from tests.measure.figures import Row, at_most, none_of, percentile
from tests.measure.subjects import start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway",)
ADMITTED, TIMES = 8, 4
ANSWER_SECONDS = 0.2
PAUSE_SECONDS = 0.05  # after a refusal: without one the clients themselves take all of the processor
BAR_REFUSED_MS, BAR_SLOWER = 100, 1.5
BODY = json.dumps(chat_body(stream=False, fake={"before_head": ANSWER_SECONDS}))
HEADERS = {"X-API-Key": KEY, "Content-Type": "application/json"}
Answers = list[tuple[int, float]]  # status, seconds


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """As many clients as are let in, then four times as many, then as many again."""
    seconds = 3 if small else 30
    limit = {"MAX_CONCURRENT_REQUESTS": ADMITTED}
    with Upstream(folder) as upstream, start(subject, folder, upstream, **limit) as running:
        before = ask_for(running.port, ADMITTED, seconds / 3)
        during = ask_for(running.port, ADMITTED * TIMES, seconds)
        after = ask_for(running.port, ADMITTED, 2)
    return judge(before, during, after)


def judge(before: Answers, during: Answers, after: Answers) -> list[Row]:
    """The rows: what was let in, what was refused, and whether anything else came of it."""
    usual, loaded = (percentile(seconds_of(answers, 200), 95) for answers in (before, during))
    refused = seconds_of(during, 503)
    odd = [status for status, _ in during if status not in (200, 503)]
    late = [status for status, _ in after if status != 200]
    return [
        Row("overload: let in, refused", f"{len(during) - len(refused)}, {len(refused)}"),
        none_of("overload: neither let in nor refused", len(odd), len(during)),
        at_most("overload: time of a refusal, p99", 1000 * percentile(refused, 99), BAR_REFUSED_MS, "ms"),
        at_most("overload: p95 of what was let in", loaded / usual, BAR_SLOWER, "x"),
        none_of("overload: refused afterwards", len(late), len(after)),
    ]


def seconds_of(answers: Answers, status: int) -> list[float]:
    """How long each answer of this status took."""
    return [seconds for each, seconds in answers if each == status]


def ask_for(port: int, clients: int, seconds: float) -> Answers:
    """So many clients, each with one request after another."""
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(clients) as pool:
        return sum(pool.map(lambda _: ask_until(port, until), range(clients)), [])


def ask_until(port: int, until: float) -> Answers:
    """One client, on a connection that is opened anew when the gateway has closed it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    answers: Answers = []
    while time.monotonic() < until:
        began = time.monotonic()
        connection.request("POST", "/v1/chat/completions", BODY, HEADERS)
        response = connection.getresponse()
        response.read()
        answers.append((response.status, time.monotonic() - began))
        if response.status == 503:
            time.sleep(PAUSE_SECONDS)
    connection.close()
    return answers
