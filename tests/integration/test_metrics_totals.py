"""A thousand mixed requests to four workers that come and go: the sums are what was sent, to the token."""

import json
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gateway import Gateway, chat_body, wait_until
from tests.scrape import BOSS, Scrape, scrape, went_back

CHAT = "/v1/chat/completions"
KEYS = {name: f"sk-{name}-0123456789abcdef" for name in ("ann", "bob", "leaver", "unlucky")}
MODEL = "fake/model-1"


class Tally:
    """What was asked and what came back, counted by the clients."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._lock = threading.Lock()
        self.answers: Counter[tuple[str, str, str]] = Counter()
        self.used: dict[str, Counter[str]] = {name: Counter() for name in KEYS}

    def _count(self, name: str | None, answer: tuple[str, str, str], **used: int) -> None:
        with self._lock:
            self.answers[answer] += 1
            if name:
                self.used[name].update(used, key_requests=1)

    def whole(self, events: int) -> None:
        """An answer in one piece, or as a stream, to one of two keys."""
        name = ("ann", "bob")[events % 2]
        body = chat_body(stream=events % 3 == 0, fake={"events": events})
        reply = self._gateway.post(CHAT, body, KEYS[name])
        assert reply.status == 200
        self._count(
            name,
            (CHAT, "200", "complete"),
            prompt_tokens=7,
            cached_prompt_tokens=3,
            completion_tokens=events,
            request_bytes=len(json.dumps(body)),
            response_bytes=len(reply.body),
        )

    def aborted(self, _: int) -> None:
        """A client that leaves in the middle of a stream."""
        with self._gateway.connect() as client:
            body = chat_body(stream=True, fake={"events": 1000, "interval": 0.02})
            client.send_request("POST", CHAT, body, X_API_Key=KEYS["leaver"])
            client.read_head()
            next(client.body())
        self._count("leaver", (CHAT, "200", "client_gone"), key_aborts=1, partial_answers=1)

    def broken(self, events: int) -> None:
        """A stream that the upstream leaves unfinished."""
        script = {"events": 90, "interval": 0.002, "fail_after": events, "failure": "close"}
        with self._gateway.connect() as client:
            client.send_request("POST", CHAT, chat_body(stream=True, fake=script), X_API_Key=KEYS["unlucky"])
            client.read_head()
            made = client.read_body().count(b'"delta"')
        counts = {"key_errors": 1, "partial_answers": 1, "completion_tokens": made}
        self._count("unlucky", (CHAT, "200", "upstream_lost"), **counts)

    def refused(self, _: int) -> None:
        """A field that nobody may set."""
        body = {**chat_body(stream=False), "n": 10_000}
        reply = self._gateway.post(CHAT, body, KEYS["bob"])
        sizes = {"request_bytes": len(json.dumps(body)), "response_bytes": len(reply.body)}
        self._count("bob", (CHAT, str(reply.status), reply.error_code), key_errors=1, **sizes)

    def failed(self, _: int) -> None:
        """A 500 of the upstream's own."""
        script = {"status": 500, "body": '{"error": {"message": "no"}}'}
        reply = self._gateway.post(CHAT, chat_body(stream=False, fake=script), KEYS["unlucky"])
        self._count("unlucky", (CHAT, str(reply.status), "upstream_refused"), key_errors=1)

    def wrong_key(self, _: int) -> None:
        """A key of nobody's."""
        reply = self._gateway.post(CHAT, chat_body(stream=False), "sk-wrong")
        self._count(None, (CHAT, "401", reply.error_code))

    def nowhere(self, _: int) -> None:
        """A route that does not exist."""
        reply = self._gateway.post("/pause", {}, KEYS["ann"])
        self._count(None, ("other", "404", reply.error_code))


def send(tally: Tally, number: int, seed: int) -> None:
    """So many requests of all kinds, sixteen at a time."""
    kinds = [
        *(tally.whole,) * 12,
        *(tally.aborted, tally.broken, tally.refused, tally.failed, tally.wrong_key, tally.nowhere),
    ]
    chance = random.Random(seed)
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(chance.choice(kinds), chance.randint(1, 40)) for _ in range(number)]
    for call in calls:
        call.result()


def watch(gateway: Gateway, stop: threading.Event, seen: list[Scrape]) -> None:
    while not stop.wait(0.1):
        seen.append(scrape(gateway))


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway], tmp_path: Path) -> Gateway:
    (tmp_path / "keys.json").write_text(json.dumps({"boss": BOSS, **KEYS}))
    gateway = start_gateway(WEB_CONCURRENCY=4)
    gateway.wait_ready()
    return gateway


def test_the_sums_are_what_was_sent_whichever_workers_have_come_and_gone(gateway: Gateway) -> None:
    tally, stop, seen = Tally(gateway), threading.Event(), list[Scrape]()
    watcher = threading.Thread(target=watch, args=(gateway, stop, seen))
    watcher.start()
    first = threading.Thread(target=send, args=(tally, 500, 1))
    first.start()
    wait_until(lambda: tally.answers.total() > 100, 30.0)
    gateway.process.send_signal(signal.SIGHUP)  # in the middle of it
    first.join()
    stop.set()
    watcher.join()
    wait_until(lambda: counted_answers(scrape(gateway)) == tally.answers)
    gateway.kill_workers()  # while they have nothing to do
    wait_until(gateway.is_alive)
    send(tally, 500, 2)
    wait_until(lambda: counted_answers(scrape(gateway)).total() >= 1000)

    found = scrape(gateway)

    assert tally.answers.total() == 1000
    assert counted_answers(found) == tally.answers
    assert counted_use(found, tally.used) == tally.used
    check_sums_agree(found)
    seen.append(found)
    assert [went_back(*pair) for pair in zip(seen, seen[1:], strict=False)] == [{}] * (len(seen) - 1)


def counted_answers(found: Scrape) -> Counter[tuple[str, str, str]]:
    """Requests of the tally's kinds by route, code and outcome."""
    answers: Counter[tuple[str, str, str]] = Counter()
    for (name, pairs), value in found.samples.items():
        labels = dict(pairs)
        if name == "vllm_gateway_requests_total" and labels["route"] in (CHAT, "other"):
            answers[(labels["route"], labels["code"], labels["outcome"])] += int(value)
    return answers


def counted_use(found: Scrape, used: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    """By key, what its clients could know of it."""
    return {
        name: Counter({each: int(found.sum(f"{each}_total", key=name)) for each in known})
        for name, known in used.items()
    }


def check_sums_agree(found: Scrape) -> None:
    """Sums that say the same in two ways."""
    requests = sum(found.sum("key_requests_total", key=name) for name in KEYS)
    assert found.sum("request_duration_seconds_count") == found.sum("overhead_seconds_count") <= requests
    assert found.sum("gpu_seconds_total") == pytest.approx(found.sum("gpu_busy_seconds_total"), rel=0.02)
    assert found.sum("client_aborts_total") == found.sum("key_aborts_total")
    assert found.sum("upstream_errors_total") == found.sum("key_errors_total", key="unlucky")
    assert found.sum("gpu_seconds_total", model=MODEL) > 0
