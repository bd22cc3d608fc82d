"""SIGTERM under streams: short ones finish, endless ones are told, everything is gone in time."""

import signal
import time
from pathlib import Path
from typing import Any

import psutil

from tests.entrypoint import Entrypoint, runs
from tests.measure.crowd import Crowd, Stream
from tests.measure.figures import Row, all_of, at_most, none_of
from tests.measure.subjects import start
from tests.measure.upstream import Upstream

SUBJECTS = ("gateway", "nginx", "haproxy")
STREAMS, IDLE = 20, 5
DRAIN_SECONDS = 7
GONE_SECONDS, IDLE_SECONDS = 9.7, 1.0
ENDLESS = {"events": 2000, "interval": 0.1}
TOLD = b'"code":"server_shutdown"'


def run(subject: str, folder: Path, *, small: bool = False) -> list[Row]:
    """Beside a model server of its own, and for the gateway also with one under entrypoint.sh."""
    events = 8 if small else 20
    rows = []
    for judge, script in ((judge_short, {"events": events, "interval": 0.25}), (judge_endless, ENDLESS)):
        with Upstream(folder) as upstream, start(subject, folder, upstream, drain=DRAIN_SECONDS) as running:
            ending = Ending(running.family())
            ending.watch(running, script, running.stop_signal)
        rows += judge(ending, "drain: ")
    return rows + (run_both(folder) if subject == "gateway" else [])


def run_both(folder: Path) -> list[Row]:
    """The gateway and a stand-in for vLLM under entrypoint.sh, and endless streams."""
    own = folder / "both"
    own.mkdir()
    with Entrypoint(own, DRAIN_SECONDS=DRAIN_SECONDS) as running:
        running.wait_ready()
        ending = Ending(running.remember_family())
        gateway, model = running.master, running.vllm
        ending.watch(running, ENDLESS, signal.SIGTERM)
        running.process.wait(10)
    lead = "drain, entrypoint.sh: "
    rows = judge_endless(ending, lead)
    longer = ending.gone_at.get(model, 0.0) - ending.gone_at.get(gateway, 0.0)
    return [
        *rows,
        Row(f"{lead}the model server outlives the gateway", f"{longer:.2f} s", "> 0 s", longer > 0),
    ]


class Ending:
    """How the streams, the idle connections and the processes of a family end."""

    def __init__(self, family: list[psutil.Process]) -> None:
        self._alive = set(family)
        self.gone_at: dict[psutil.Process, float] = {}
        self.told_at = 0.0
        self.streams: list[Stream] = []
        self.idle: list[Stream] = []

    def watch(self, running: Any, script: dict[str, Any], stop: signal.Signals) -> None:
        """Open everything, tell the master to stop, and see."""
        with Crowd() as crowd:
            self.streams = [crowd.add(Stream(running.port).ask(fake=script)) for _ in range(STREAMS)]
            self.idle = [crowd.add(open_idle(running.port)) for _ in range(IDLE)]
            assert crowd.read_until(lambda: all(b"data: " in s.data for s in self.streams), 10)
            self.told_at = time.monotonic()
            running.process.send_signal(stop)
            crowd.read_until(self._are_gone, GONE_SECONDS + 5)
            crowd.read_to_end(1.0)

    def _are_gone(self) -> bool:
        for process in [each for each in self._alive if not runs(each)]:
            self._alive.remove(process)
            self.gone_at[process] = time.monotonic()
        return not self._alive

    def rows(self, lead: str) -> list[Row]:
        """What holds whatever the streams are."""
        late = self.told_at + 60  # for what never ended
        idle = max(stream.ended_at or late for stream in self.idle) - self.told_at
        gone = late if self._alive else max(self.gone_at.values())
        return [
            at_most(f"{lead}idle connections closed after", idle, IDLE_SECONDS, "s"),
            at_most(f"{lead}all processes gone after", gone - self.told_at, GONE_SECONDS, "s"),
        ]


def open_idle(port: int) -> Stream:
    """A kept-alive connection that has had its answer."""
    stream = Stream(port)
    stream.send_request("GET", "/health/live")
    stream.read_head()
    stream.read_body()
    stream.sock.setblocking(False)
    return stream


def judge_short(ending: Ending, lead: str) -> list[Row]:
    """Streams that the drain leaves time for."""
    lead += "short streams, "
    finished = sum(stream.is_finished for stream in ending.streams)
    return [all_of(f"{lead}whole", finished, STREAMS), *ending.rows(lead)]


def judge_endless(ending: Ending, lead: str) -> list[Row]:
    """Streams that it does not."""
    lead += "endless streams, "
    streams = ending.streams
    told = sum(stream.data.count(TOLD) == 1 for stream in streams)
    return [
        all_of(f"{lead}exactly one server_shutdown event", told, STREAMS),
        none_of(f"{lead}a [DONE]", sum(b"[DONE]" in stream.data for stream in streams), STREAMS),
        none_of(f"{lead}a last chunk", sum(stream.ended_with_last_chunk for stream in streams), STREAMS),
        *ending.rows(lead),
    ]
