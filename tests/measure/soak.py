"""`python -m tests.measure.soak [SECONDS] [SEED]`: 50 clients, every fault, reloads; and nothing is lost.

SIGHUP renews the workers, and with them their memory. So all reloads of that kind fall into the first
half of the run; the slope of memory is that of the last generation, after a minute of warm-up.
"""

import json
import secrets
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.client import KEY
from tests.measure.__main__ import raise_limit
from tests.measure.figures import Row, at_most, none_of, table
from tests.measure.soak_clients import FIRST_BYTE_SECONDS, IDLE_SECONDS, STALL_SECONDS, Client
from tests.measure.sockets import tcp_queues
from tests.measure.subjects import GatewaySubject, descriptors, resident, settle
from tests.measure.upstream import Upstream

CLIENTS = 50
SECONDS, SEED = 600, "1"
HUP_SECONDS, KEYS_SECONDS, TELL_SECONDS, SAMPLE_SECONDS, WARM_SECONDS = 60, 20, 30, 1, 60
BAR_SLOPE, BAR_OPEN = 1.0, 2
SHOWN = 40
SEVERE = ('"severity":"ERROR"', '"severity":"CRITICAL"')


class Soak:
    """The load, what happens beside it, and what was seen."""

    def __init__(self, gateway: GatewaySubject, upstream: Upstream, seconds: float, seed: str) -> None:
        self._gateway = gateway
        self._upstream = upstream
        self._seconds = seconds
        self._stop = threading.Event()
        self._clients = [Client(gateway.port, f"{seed}-{n}", self._stop) for n in range(CLIENTS)]
        self._samples: list[tuple[float, float]] = []  # minutes, MB
        self._failed_reloads: list[str] = []
        self._hups: list[float] = []
        self._reloads = 0

    def run(self) -> list[Row]:
        """All of it; returns the table."""
        files, connections = descriptors(self._gateway.family()), self._connections()
        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(client.run) for client in self._clients]
            try:
                self._look_on()
            finally:
                self._stop.set()
            for client in running:
                client.result()
        more_files = settle(self._gateway.family, files + BAR_OPEN, 45) - files
        return [
            *self._judge_answers(),
            *self._judge_memory(),
            at_most("more file descriptors than at the start", more_files, BAR_OPEN, "files"),
            at_most("more connections", self._connections() - connections, BAR_OPEN, "connections"),
            *self._judge_traces(),
        ]

    def _connections(self) -> int:
        return tcp_queues(f"sport = :{self._gateway.port} or dport = :{self._upstream.port}").count

    def _look_on(self) -> None:
        began = time.monotonic()
        every = {
            self._hup: min(HUP_SECONDS, self._seconds / 6),
            self._reload_keys: KEYS_SECONDS,
            self._tell: TELL_SECONDS,
            self._sample: SAMPLE_SECONDS,
        }
        due = dict(every)
        while (elapsed := time.monotonic() - began) < self._seconds:
            for deed in [deed for deed, when in due.items() if elapsed >= when]:
                due[deed] += every[deed]
                deed(elapsed)
            time.sleep(0.1)

    def _hup(self, elapsed: float) -> None:
        if elapsed <= self._seconds / 2:
            self._gateway.process.send_signal(signal.SIGHUP)
            self._hups.append(elapsed)

    def _reload_keys(self, _elapsed: float) -> None:
        content = json.dumps({"tester": KEY, "another": "sk-" + secrets.token_hex(16)})
        self._gateway.keys_file.write_text(content)
        self._reloads += 1
        try:
            reply = self._gateway.request("POST", "/admin/reload-keys", headers={"X-API-Key": KEY})
        except OSError as error:
            self._failed_reloads.append(str(error))
        else:
            self._failed_reloads += [] if reply.status == 200 else [str(reply.status)]

    def _sample(self, elapsed: float) -> None:
        self._samples.append((elapsed / 60, resident(self._gateway.family())))

    def _tell(self, elapsed: float) -> None:
        asked = sum(self._outcomes().values())
        problems = sum(len(client.problems) for client in self._clients)
        family = self._gateway.family()
        sys.stdout.write(
            f"{elapsed:4.0f} s: {asked} requests, {problems} problems, {len(family)} processes, "
            f"{resident(family):.0f} MB, {descriptors(family)} files, {self._connections()} connections\n"
        )
        sys.stdout.flush()

    def _outcomes(self) -> Counter[str]:
        return sum((Counter(dict(client.outcomes)) for client in self._clients), Counter())

    def _judge_answers(self) -> list[Row]:
        outcomes = self._outcomes()
        problems = [problem for client in self._clients for problem in client.problems]
        for problem in problems[:SHOWN]:
            sys.stdout.write(f"problem: {problem}\n")
        return [
            *(Row(f"requests: {name}", str(count)) for name, count in outcomes.most_common()),
            none_of("answers that are not what was injected", len(problems), sum(outcomes.values())),
            Row("reloads by SIGHUP", str(len(self._hups))),
            none_of("reloads of the keys that failed", len(self._failed_reloads), self._reloads),
        ]

    def _judge_memory(self) -> list[Row]:
        warm = max(self._hups, default=0.0) + min(WARM_SECONDS, self._seconds / 6)
        fitted = [(minute, size) for minute, size in self._samples if minute >= warm / 60]
        slope, _ = statistics.linear_regression(*zip(*fitted, strict=True))
        span = f"{fitted[0][1]:.1f} to {fitted[-1][1]:.1f} MB in {fitted[-1][0] - fitted[0][0]:.1f} min"
        return [
            Row("resident memory of the last generation", span),
            at_most("slope of resident memory", slope, BAR_SLOPE, "MB/min"),
        ]

    def _judge_traces(self) -> list[Row]:
        family = self._gateway.family()
        zombies = sum(member.status() == psutil.STATUS_ZOMBIE for member in family)
        lines = self._gateway.log_file.read_text().splitlines()
        odd = [line for line in lines if not line.startswith("{") or any(mark in line for mark in SEVERE)]
        for line in odd[:SHOWN]:
            sys.stdout.write(f"log: {line[:1000]}\n")
        return [
            none_of("zombie processes", zombies, len(family)),
            none_of("errors and lines of tracebacks in the log", len(odd), len(lines)),
        ]


def main(arguments: list[str]) -> int:
    """Returns 0 when every bar is met."""
    seconds = float(arguments[0]) if arguments else SECONDS
    seed = arguments[1] if len(arguments) > 1 else SEED
    sys.stdout.write(f"{seconds:.0f} s with seed {seed}\n")
    raise_limit()
    limits = {
        "STREAM_IDLE_TIMEOUT_SECONDS": IDLE_SECONDS,
        "CLIENT_STALL_TIMEOUT_SECONDS": STALL_SECONDS,
        "FIRST_BYTE_TIMEOUT_SECONDS": FIRST_BYTE_SECONDS,
    }
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    with Upstream(folder) as upstream, GatewaySubject(folder, upstream.url, **limits) as gateway:
        rows = Soak(gateway, upstream, seconds, seed).run()
    sys.stdout.write("\n" + table(rows))
    if any(row.is_met is False for row in rows):
        sys.stdout.write(f"The log is kept: {gateway.log_file}\n")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
