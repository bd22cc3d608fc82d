"""`make demo` starts, says what to type next, and ends at Ctrl-C with all that it has started."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.gateway import wait_until
from tests.local import ROOT, free_port

START_SECONDS = 30.0
LINE = re.compile(r"for a browser: (\S+) .* for Prometheus: (\S+) ")


def hear_ctrl_c() -> None:
    """What a shell starts behind `&` ignores it, and so does all that is started from there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Demo:
    """One run of it; `shown` is what it has printed."""

    def __init__(self, log: Path, port: int) -> None:
        self._log, self.port = log, port
        environ = {"PATH": os.environ["PATH"], "PORT": str(port)}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.demo"],
                cwd=ROOT,
                env=environ,
                stdout=output,
                stderr=output,
                preexec_fn=hear_ctrl_c,
            )

    @property
    def shown(self) -> str:
        return self._log.read_text()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "demo.log", free_port())
    try:
        wait_until(lambda: LINE.search(demo.shown), START_SECONDS)
        yield demo
    finally:
        demo.process.send_signal(signal.SIGINT)
        try:
            demo.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            for each in psutil.Process(demo.process.pid).children(recursive=True):
                each.kill()
            demo.process.kill()
            raise


def test_the_addresses_that_it_prints_are_there_for_its_key(demo: Demo) -> None:
    key = re.search(r"API_KEY=(\S+)", demo.shown)[1]  # type: ignore[index]
    page, metrics = LINE.search(demo.shown).groups()  # type: ignore[union-attr]

    assert "Log in" in requests.get(page, timeout=5).text
    told = requests.get(metrics, headers={"X-API-Key": key}, timeout=5)
    assert "vllm_gateway_ready 1.0" in told.text
    assert demo.shown.count(key) == 1


def test_ctrl_c_ends_all_of_it(demo: Demo) -> None:
    started = psutil.Process(demo.process.pid).children(recursive=True)
    assert len(started) >= 3  # the stand-in, the gateway, a worker

    demo.process.send_signal(signal.SIGINT)

    assert demo.process.wait(START_SECONDS) == 0
    wait_until(lambda: not any(each.is_running() for each in started))


def test_a_port_in_use_is_told_before_anything_starts(demo: Demo, tmp_path: Path) -> None:
    second = Demo(tmp_path / "second.log", demo.port)

    assert second.process.wait(START_SECONDS) == 1
    assert second.shown.startswith(f"demo: port {demo.port} ")
    assert "Ready" not in second.shown
