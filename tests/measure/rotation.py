"""10,000 requests of 16 clients while the key is rotated 20 times by command and reload: none goes wrong."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.everywhere import reload, statuses_everywhere
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.gateway import Gateway, chat_body
from tests.keys_command import KeysCommand
from tests.measure.figures import Row, all_of, none_of
from tests.measure.subjects import GatewaySubject
from tests.measure.upstream import Upstream
from tests.secret_client import secret_settings

SUBJECTS = ("gateway",)
WORKERS, CLIENTS, ROTATIONS, REQUESTS = 4, 16, 20, 10_000
THINK_SECONDS, OVERLAP_SECONDS = 0.05, 0.3
ADMIN = "sk-admin-0123456789abcdef"
UNKNOWN = "sk-unknown-0123456789abcdef"
BODY = json.dumps(chat_body(stream=False))


class State:
    """The keys that count at this moment, who uses them, and what the clients got."""

    def __init__(self, key: str) -> None:
        self.valid = [key]
        self.is_over = False
        self.outcomes: Counter[str] = Counter()
        self._in_use: Counter[str] = Counter()
        self._change = threading.Condition()

    @contextmanager
    def a_key(self) -> Iterator[str]:
        """One of the valid keys, which stays valid meanwhile."""
        with self._change:
            key = random.choice(self.valid)
            self._in_use[key] += 1
        yield key
        with self._change:
            self._in_use[key] -= 1
            self._change.notify_all()

    def retire(self, key: str) -> None:
        """Let nobody take it any more, and wait for those who have it."""
        with self._change:
            self.valid.remove(key)
            assert self._change.wait_for(lambda: not self._in_use[key], 20)


def run(_subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """From a file and from Secret Manager."""
    size = 10 if small else 1
    rows: list[Row] = []
    with Upstream(folder) as upstream, FakeSecretManagerThread() as secret_manager:
        place = secret_settings(secret_manager)
        KeysCommand(**place)("create-secret")
        rows += rotate_often("secret", folder, upstream, place, ROTATIONS // size, REQUESTS // size)
    with Upstream(folder) as upstream:
        place = {"API_KEYS_FILE": str(folder / "rotated.json")}
        rows += rotate_often("file", folder, upstream, place, ROTATIONS // size, REQUESTS // size)
    return rows


def rotate_often(
    kind: str, folder: Path, upstream: Upstream, place: dict[str, str], rotations: int, requests: int
) -> list[Row]:
    """Clients ask without a pause while keys come, overlap and go."""
    keys = KeysCommand(**place)
    keys("add", "--name", "boss", "--from-stdin", "--scope", "admin", typed=ADMIN)
    state = State(keys("add", "--name", "client"))
    settings = {"API_KEYS_FILE": "", "WEB_CONCURRENCY": WORKERS, **place}
    refused = 0
    with GatewaySubject(folder, upstream.url, **settings) as gateway, ThreadPoolExecutor(CLIENTS) as pool:
        jobs = [pool.submit(ask_often, gateway.port, state, -(-requests // CLIENTS)) for _ in range(CLIENTS)]
        for _ in range(rotations):
            removed = rotate(keys, gateway, state)
            refused += statuses_everywhere(gateway, removed) == {401}
        state.is_over = True
        for job in jobs:
            job.result()
    right = state.outcomes.pop("right")
    told = ", ".join(f"{count} {outcome}" for outcome, count in state.outcomes.items()) or "none"
    wrong = state.outcomes.total()
    return [
        none_of(f"{kind}, {rotations} rotations, {WORKERS} workers: wrong answers", wrong, wrong + right),
        Row(f"{kind}: what was wrong", told),
        Row(f"{kind}: right answers", f"{right:,}", f">= {requests:,}", right >= requests),
        all_of(
            f"{kind}: removed keys refused by every worker once the reload had answered", refused, rotations
        ),
    ]


def rotate(keys: KeysCommand, gateway: Gateway, state: State) -> str:
    """One new key beside the old one, then the old one away; returns that one."""
    old = state.valid[0]
    new = keys("rotate", "--name", "client", "--overlap", "1h")
    assert reload(gateway, key=ADMIN).json()["changed"] == ["client"]
    state.valid.append(new)
    time.sleep(OVERLAP_SECONDS)
    state.retire(old)
    old_id = next(row["id"] for row in keys.listed() if row["name"] == "client" and row["expires"])
    keys("remove", "--name", "client", "--id", old_id)
    assert reload(gateway, key=ADMIN).json()["changed"] == ["client"]
    return old


def ask_often(port: int, state: State, count: int) -> None:
    """One client: valid keys in either header, and now and then one that was never valid."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    asked = 0
    while asked < count or not state.is_over:
        asked += 1
        time.sleep(THINK_SECONDS)
        if asked % 10 == 0:
            outcome = ask(connection, UNKNOWN, 401)
        else:
            with state.a_key() as key:
                outcome = ask(connection, key, 200)
        state.outcomes[outcome] += 1
    connection.close()


def ask(connection: http.client.HTTPConnection, key: str, expected: int) -> str:
    """`right`, or what came instead."""
    headers = random.choice(({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}))
    try:
        connection.request(
            "POST", "/v1/chat/completions", BODY, {"Content-Type": "application/json", **headers}
        )
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__
    return "right" if response.status == expected else f"{response.status} for {expected}"
