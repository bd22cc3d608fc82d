"""The gateway that is fuzzed, in front of a stand-in that fuzzed bodies cannot script."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.client import KEY, Reply
from tests.fake_answers import Script
from tests.fake_vllm import FakeVllm, FakeVllmThread, Received
from tests.fuzz.judge import REFUSAL
from tests.gateway import Gateway, wait_until

WORKERS = 2
GUEST = "sk-guest-0123456789abcdef"
KEYS = {"tester": {"key": KEY, "scopes": ["inference", "admin"]}, "guest": GUEST}
SECRETS = (KEY.encode(), GUEST.encode())
MOST_GROWTH_MB = 40.0  # of one worker, from the first thousand requests to the last
MOST_CHOICES = 8
REFUSED = Script(status=400, body=json.dumps(REFUSAL))


class Contacts(list[Received]):
    """The requests that came, less the gateway's own probes."""

    def append(self, request: Received) -> None:
        if request.target != "/health":
            super().append(request)


class CalmVllm(FakeVllm):
    """Answers in the shape of each API, and refuses what vLLM would refuse; takes no script."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Received] = Contacts()

    def script_for(self, asked: dict[str, Any]) -> Script:
        return Script(events=2) if is_answerable(asked) else REFUSED


def is_answerable(asked: dict[str, Any]) -> bool:
    """Whether the number of choices follows from the request."""
    n, prompt = asked.get("n"), asked.get("prompt")
    is_number = n is None or (type(n) is int and 1 <= n <= MOST_CHOICES)
    if not isinstance(prompt, list):
        return is_number
    kinds = {type(each) for each in prompt}
    return is_number and len(prompt) <= MOST_CHOICES and kinds in ({str}, {int}, {list})


@dataclass
class Subject:
    """What runs, and what it was like at the start."""

    gateway: Gateway
    fake: CalmVllm
    workers: set[int]
    sizes: dict[int, float]

    def take_contacts(self) -> list[Received]:
        """The requests that have reached the stand-in since the last time, also from clients that left."""
        wait_until(lambda: self._ask("GET", "/admin/status").json()["requests_in_flight"] == 0, 20.0)
        last = self._ask("POST", "/tokenize", {"model": "last"}).request_id
        taken = list(self.fake.received)
        assert last in [contact.request_id for contact in taken]
        del self.fake.received[: len(taken)]
        return [contact for contact in taken if contact.request_id != last]

    def _ask(self, method: str, target: str, body: Any = None) -> Reply:
        return self.gateway.request(method, target, body, {"X-API-Key": KEY})

    def note_sizes(self) -> None:
        """From here on the workers may not grow much."""
        self.sizes = resident(self.workers)

    @staticmethod
    def size_of(pid: int) -> float:
        """Megabytes of memory of a worker; 0 of one that has ended."""
        return resident({pid})[pid] if psutil.pid_exists(pid) else 0.0

    def aftermath(self) -> list[str]:
        """What is wrong with the gateway itself after all that."""
        if self.gateway.worker_pids() != self.workers:
            return ["a worker has ended"]
        grown = {pid: size - self.sizes[pid] for pid, size in resident(self.workers).items()}
        problems = [
            f"a worker has grown by {more:.0f} MB" for more in grown.values() if more > MOST_GROWTH_MB
        ]
        if not wait_until(lambda: self.gateway.request("GET", "/health/ready").status == 200):
            problems.append("it is not ready")
        return problems + judge_log(self.gateway.log_file)


def resident(pids: set[int]) -> dict[int, float]:
    """Megabytes of memory by process."""
    return {pid: psutil.Process(pid).memory_info().rss / 1e6 for pid in pids}


def judge_log(file: Path) -> list[str]:
    """Lines that are no JSON, tell of an error, or hold the key."""
    problems = []
    with file.open("rb") as lines:
        for line in lines:
            try:
                content = json.loads(line)
            except ValueError:
                content = {"severity": "no JSON"}
            severity = content.get("severity")
            if (
                severity not in ("INFO", "WARNING")
                or b"Traceback" in line
                or any(key in line for key in SECRETS)
            ):
                problems.append(f"log: {severity}: {line[:2000].decode(errors='replace')}")
    return problems[:20]


@contextmanager
def started(folder: Path) -> Iterator[Subject]:
    """A gateway with two workers behind one proxy, ready to serve."""
    (folder / "keys.json").write_text(json.dumps(KEYS))
    with FakeVllmThread(fake=CalmVllm()) as upstream:
        settings = {"WEB_CONCURRENCY": WORKERS, "TRUSTED_PROXY_HOPS": 1}
        with Gateway(folder, upstream.url, **settings) as gateway:
            gateway.wait_ready()
            wait_until(lambda: len(gateway.worker_pids()) == WORKERS)
            workers = gateway.worker_pids()
            fake = upstream.fake
            assert isinstance(fake, CalmVllm)
            yield Subject(gateway, fake, workers, resident(workers))
