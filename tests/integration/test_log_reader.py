"""Log lines may be lost; requests are not, whatever becomes of whoever reads the lines."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.fake_vllm import FakeVllmThread
from tests.gateway import KEY, Gateway, wait_until
from tests.scrape import BOSS, scrape

MANY = 600  # lines of half a kilobyte: more than a pipe holds
NOTHING = {"X-API-Key": KEY}


class Piped(Gateway):
    """A gateway whose lines go where the test says."""

    output: Any = None

    def launch(self) -> None:
        """Start it at `port`, without waiting for anything."""
        environ = {**self.environ, "PORT": str(self.port)}
        self.process = subprocess.Popen(
            self.command, cwd=self.cwd, env=environ, stdout=self.output, stderr=self.output
        )


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[Piped]:
    with FakeVllmThread() as upstream:
        yield Piped(tmp_path, upstream.url, WEB_CONCURRENCY=1, MAX_CONCURRENT_REQUESTS=1000)


def ask_often(gateway: Gateway) -> None:
    for _ in range(MANY):
        assert gateway.request("GET", "/v1/models", headers=NOTHING).status == 200


def lines_of(reading: BinaryIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in reading.read().splitlines()]


def test_a_reader_that_stops_costs_no_request_and_lines_that_are_lost_are_counted(piped: Piped) -> None:
    reading, piped.output = os.pipe()
    os.set_blocking(reading, False)
    with piped as gateway:
        gateway.wait_ready()
        for _ in range(6):  # until what is kept of the lines has no more room
            ask_often(gateway)
        taken = bytearray()

        def is_told() -> bool:
            with suppress(BlockingIOError):
                taken.extend(os.read(reading, 65536))
            gateway.request("GET", "/v1/models", headers=NOTHING)
            return b"log lines were lost" in taken.rpartition(b"\n")[0]

        wait_until(is_told, 20)
    os.close(piped.output)
    os.close(reading)

    *lines, _cut = taken.split(b"\n")
    told = [json.loads(line) for line in lines]
    assert [line["lost"] for line in told if line["message"] == "log lines were lost"]
    assert sum(line["message"] == "request" for line in told) > 1000


def test_lines_that_are_lost_are_in_the_metrics(piped: Piped) -> None:
    piped.keys_file.write_text(json.dumps({"tester": KEY, "boss": BOSS}))
    reading, piped.output = os.pipe()
    with piped as gateway:
        gateway.wait_ready()
        assert scrape(gateway).sum("lost_log_lines_total") == 0
        for _ in range(6):  # until what is kept of the lines has no more room
            ask_often(gateway)

        wait_until(lambda: scrape(gateway).sum("lost_log_lines_total") > 0)
    os.close(piped.output)
    os.close(reading)


def test_other_writers_of_the_same_pipe_may_still_wait(piped: Piped) -> None:
    reading, piped.output = os.pipe()
    with piped as gateway:
        gateway.wait_ready()

        assert os.get_blocking(piped.output)
    os.close(piped.output)
    os.close(reading)


@pytest.mark.parametrize("kind", ["full", "closed"])
def test_lines_that_cannot_be_written_cost_no_request(piped: Piped, kind: str) -> None:
    if kind == "full":
        piped.output = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, piped.output = os.pipe()
        os.close(reading)
    with piped as gateway:
        gateway.wait_ready()

        ask_often(gateway)

        assert gateway.process.poll() is None
    os.close(piped.output)
