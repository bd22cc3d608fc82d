"""entrypoint.sh: however one of the two ends, nothing of either is left."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.entrypoint import Entrypoint
from tests.gateway import KEY, wait_until


class Unread(Entrypoint):
    """Its log goes into a pipe that nobody reads."""

    def launch(self) -> None:
        """Start it at `port`, without waiting for anything."""
        self.reading, writing = os.pipe()
        environ = {**self.environ, "PORT": str(self.port)}
        self.process = subprocess.Popen(
            self.command, env=environ, stdout=writing, stderr=writing, cwd=self.cwd
        )
        os.close(writing)

    def messages(self) -> list[str]:
        """Nothing can be known of them."""
        return []


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[Unread]:
    with Unread(tmp_path, VLLM_FAKE_STUBBORN=1, VLLM_FAKE_CHATTY=1, DRAIN_SECONDS=1) as entrypoint:
        entrypoint.wait_ready()
        yield entrypoint


def test_a_log_whose_reader_is_gone_is_no_obstacle_to_an_orderly_end(unread: Unread) -> None:
    os.close(unread.reading)

    unread.process.send_signal(signal.SIGTERM)

    assert unread.end() == 0


def test_a_log_whose_reader_has_stopped_is_no_obstacle_to_anything(unread: Unread) -> None:
    for _ in range(300):  # lines, beside those of vLLM: more than a pipe holds
        assert unread.request("GET", "/v1/models", headers={"X-API-Key": KEY}).status == 200

    unread.process.send_signal(signal.SIGTERM)

    assert unread.end() == 0
    os.close(unread.reading)


def test_job_control_of_the_callers_shell_changes_nothing(start_both: Any) -> None:
    entrypoint = start_both(SHELLOPTS="monitor")
    entrypoint.wait_ready()

    entrypoint.process.send_signal(signal.SIGTERM)

    assert entrypoint.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_lets_running_streams_finish_and_ends_everything(both: Entrypoint, number: int) -> None:
    script = {"interval": 0.2, "events": 8}
    with both.open_chat(fake=script) as one, both.open_chat(fake=script) as two:
        both.process.send_signal(number)
        bodies = [client.read_body() for client in (one, two)]

        assert one.is_whole
        assert two.is_whole
    assert all(body.endswith(b"data: [DONE]\n\n") for body in bodies)
    assert both.end() == 0


def test_vllm_is_told_to_end_only_after_the_gateway(both: Entrypoint) -> None:
    vllm = both.vllm
    with both.open_chat(fake={"interval": 0.2, "events": 8}) as client:
        both.process.send_signal(signal.SIGTERM)
        body = client.read_body()
        assert vllm.is_running()

    assert b"[DONE]" in body
    assert both.end() == 0


def test_a_signal_during_the_start_ends_everything(start_both: Any) -> None:
    entrypoint = start_both(VLLM_FAKE_IMPORT="/never")

    entrypoint.process.send_signal(signal.SIGTERM)

    assert entrypoint.end(5) == 0


def test_a_vllm_that_does_not_end_is_killed_in_time(start_both: Any) -> None:
    entrypoint = start_both(VLLM_FAKE_STUBBORN=1, DRAIN_SECONDS=1)
    entrypoint.wait_ready()

    entrypoint.process.send_signal(signal.SIGTERM)

    assert entrypoint.end(1 + 2.5 + 1) == 0
    assert entrypoint.messages()[-1].startswith("stopped after ")  # and each line of the log is one of JSON


def test_a_killed_vllm_ends_the_gateway_and_is_named(both: Entrypoint) -> None:
    both.vllm.kill()

    assert both.end() == 1
    assert any("vLLM was killed by signal 9 (KILL)" in message for message in both.messages())


def test_a_vllm_that_gives_up_while_it_loads_is_named(start_both: Any, tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    entrypoint = start_both(VLLM_FAKE_WEIGHTS=loaded, VLLM_FAKE_EXIT=3)
    loaded.touch()

    assert entrypoint.end() == 1
    assert any("vLLM exited with status 3" in message for message in entrypoint.messages())


def test_a_killed_gateway_ends_vllm_and_is_named(both: Entrypoint) -> None:
    both.master.kill()

    assert both.end() == 1
    assert any("the gateway was killed by signal 9 (KILL)" in message for message in both.messages())


def test_a_port_in_use_ends_vllm_and_names_the_gateway(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with Entrypoint(tmp_path).prepared() as entrypoint:
            entrypoint.port = taken.getsockname()[1]
            entrypoint.launch()
            entrypoint.remember_family()

            assert entrypoint.end(20) == 1
    assert any("the gateway exited with status 1" in message for message in entrypoint.messages())


def test_streams_of_a_killed_vllm_are_cut_at_once(both: Entrypoint) -> None:
    with both.open_chat(fake={"interval": 0.1, "events": 1000}) as client:
        both.vllm.kill()
        body = client.read_body()

    assert b'"upstream_lost"' in body
    assert not client.is_whole


def test_nothing_survives_a_killed_entrypoint(both: Entrypoint) -> None:
    both.process.kill()
    both.process.wait()

    wait_until(lambda: not both.survivors(), 10)
