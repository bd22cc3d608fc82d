"""A thousand requests of 8 clients over 20 reloads of the server: none fails, none reaches it twice."""

import http.client
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.client import KEY
from tests.gateway import chat_body
from tests.measure.figures import Row, all_of, none_of
from tests.measure.subjects import start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway", "nginx", "haproxy")
CLIENTS = 8
THINK_SECONDS = 0.08
RELOAD_SECONDS = 0.5
BODY = json.dumps(chat_body(stream=False))
HEADERS = {"X-API-Key": KEY, "Content-Type": "application/json"}


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """With a fresh connection for each request, and with kept-alive ones."""
    reloads = 4 if small else 20
    requests = 1000 * reloads // 20
    rows = []
    for keep in (False, True):
        with Upstream(folder) as upstream, start(subject, folder, upstream) as running:
            outcomes = ask_all(running, requests, reloads, keep=keep)
            hits = upstream.seen()["posts"]
        rows += judge("kept-alive" if keep else "fresh", outcomes, requests, reloads, hits)
    return rows


def ask_all(running: Any, requests: int, reloads: int, *, keep: bool) -> Counter[str]:
    """All clients at once, beside the reloads; nothing is timed here, so threads do no harm."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        share = requests // CLIENTS
        jobs = [pool.submit(ask_often, running.port, share, keep=keep) for _ in range(CLIENTS)]
        for _ in range(reloads):
            running.process.send_signal(running.reload_signal)
            time.sleep(RELOAD_SECONDS)
        return sum((job.result() for job in jobs), Counter())


def ask_often(port: int, count: int, *, keep: bool) -> Counter[str]:
    """One client: think, ask, and never ask the same twice."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        time.sleep(THINK_SECONDS)
        try:
            connection.request("POST", "/v1/chat/completions", BODY, HEADERS)
            response = connection.getresponse()
            response.read()
            outcomes[str(response.status)] += 1
        except (OSError, http.client.HTTPException) as error:
            outcomes[type(error).__name__] += 1
            connection.close()
        if not keep:
            connection.close()
    connection.close()
    return outcomes


def judge(kind: str, outcomes: Counter[str], requests: int, reloads: int, hits: int) -> list[Row]:
    """The rows of one kind of connection."""
    lead = f"{reloads} reloads, {kind} connections: "
    failures = {name: count for name, count in outcomes.items() if name != "200"}
    told = ", ".join(f"{count} {name}" for name, count in failures.items()) or "none"
    return [
        none_of(f"{lead}failed requests", sum(failures.values()), requests),
        Row(f"{lead}what failed", told),
        all_of(f"{lead}answers of requests that the model got", outcomes["200"], hits),
    ]
