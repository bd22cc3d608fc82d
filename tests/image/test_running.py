"""One container from its first moment to SIGTERM in the middle of an answer: two users, keys in a file."""

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from launch.models import CPU_DEFAULT
from tests.client import KEY, RawClient
from tests.gateway import wait_until
from tests.image.container import GATEWAY_UID, KEYS_FOLDER, STOP_SECONDS, VLLM_UID, Container, command_of
from tests.image.network import listening

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
STORY = [{"role": "user", "content": "Write a long story about a dog."}]
PHASES = ["process", "import", "weights", "warm-up", "ready"]
EVERYWHERE = "00000000"  # 0.0.0.0, as the kernel writes it


@dataclass
class Start:
    """A container that is ready, and what was seen until it was."""

    container: Container
    probes: list[tuple[int, int, int, str]] = field(default_factory=list)  # live, ready, startup, its phase
    sockets: set[tuple[str, str, int, int]] = field(default_factory=set)
    health_before: int | None = None  # what HEALTHCHECK returned before anything listened
    lines: list[dict[str, Any]] = field(default_factory=list)

    def look(self) -> bool:
        """Take note; returns whether the model is ready."""
        self.sockets |= listening()
        statuses = [self.container.status_of(f"/health/{each}") for each in ("live", "ready", "startup")]
        if 0 in statuses:
            if self.health_before is None and self.container.execute("true").returncode == 0:
                self.health_before = self.container.check_health()
            return False
        phase = self.container.request("GET", "/health/startup").json()["phase"]
        self.probes.append((*statuses, phase))
        return statuses[1] == 200


@pytest.fixture(scope="module")
def started(rootfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with Container(tmp_path_factory.mktemp("running"), rootfs, VLLM_API_KEY="sk-not-for-vllm") as container:
        start = Start(container)
        container.wait_for(start.look)
        yield start


@pytest.fixture
def container(started: Start) -> Container:
    assert not started.container.has_ended()
    return started.container


def answer(container: Container, **fields: Any) -> list[dict[str, Any]]:
    body = {"model": CPU_DEFAULT, "messages": QUESTION, "stream": True, "temperature": 0, **fields}
    reply = container.post("/v1/chat/completions", body)
    assert reply.status == 200, reply.body
    events = reply.body.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


def open_stream(container: Container, **fields: Any) -> RawClient:
    """A client that has read the head of its answer."""
    client = container.connect()
    body = {"model": CPU_DEFAULT, "messages": STORY, "stream": True, "ignore_eos": True, **fields}
    client.send_request("POST", "/v1/chat/completions", body)
    assert client.read_head() == 200
    return client


def test_while_the_model_loads_it_is_alive_and_not_ready_and_says_how_far_it_is(started: Start) -> None:
    before, last = started.probes[:-1], started.probes[-1]

    assert {live for live, *_ in started.probes} == {200}
    assert {(ready, startup) for _, ready, startup, _ in before} <= {(503, 503), (503, 200)}
    assert (503, 503) in {(ready, startup) for _, ready, startup, _ in before}
    assert last == (200, 200, 200, "ready")
    assert {"import", "weights"} <= {phase for *_, phase in before}


def test_its_phases_are_told_when_it_is_ready(container: Container) -> None:
    told = container.request("GET", "/health/startup").json()["phases"]

    assert list(told) == PHASES
    assert told["import"] > 1
    assert told["weights"] > 1


def test_the_health_check_fails_before_the_gateway_listens_and_succeeds_when_it_does(started: Start) -> None:
    assert started.health_before == 1
    assert started.container.check_health() == 0


def test_an_answer_is_streamed_to_who_has_a_key(container: Container) -> None:
    events = answer(container)

    assert "Paris" in "".join(event["choices"][0]["delta"].get("content") or "" for event in events)
    assert len(events) > 4


def test_nobody_gets_one_without_a_key(container: Container) -> None:
    body = {"model": CPU_DEFAULT, "messages": QUESTION}

    assert container.request("POST", "/v1/chat/completions", body).status == 401


def test_it_tells_its_state_and_counts_what_each_key_used(container: Container) -> None:
    answer(container)
    headers = {"X-API-Key": KEY}
    status = container.request("GET", "/admin/status", headers=headers).json()

    assert status["phase"] == "ready"
    assert list(status["startup_seconds"]) == PHASES
    used = wait_until(lambda: container.request("GET", "/admin/usage", headers=headers).json()["rows"])
    assert [row["key"] for row in used] == ["tester"]
    assert used[0]["completion_tokens"] > 0


def test_only_the_port_is_open_beyond_loopback_and_what_is_on_loopback_is_vllms(started: Start) -> None:
    sockets = started.sockets | listening()

    assert {
        (protocol, address, port) for protocol, address, port, _ in sockets if not is_loopback(address)
    } == {("tcp", EVERYWHERE, 8080)}
    assert {uid for _, address, _, uid in sockets if is_loopback(address)} <= {VLLM_UID}


def is_loopback(address: str) -> bool:
    return address.endswith("7F") and len(address) == 8 or address == "0" * 24 + "01000000"


def test_the_first_process_is_the_entry_point(container: Container) -> None:
    assert container.number_inside(container.first) == "1"
    assert command_of(container.first)[-1] == "/app/entrypoint.sh"


def test_nothing_but_the_entry_point_is_root_and_the_two_programs_are_two_users(container: Container) -> None:
    users = {each: each.uids().real for each in container.family()}

    assert [each for each, uid in users.items() if uid == 0] == [container.first]
    assert {users[each] for each in container.running("gunicorn")} == {GATEWAY_UID}
    server = container.vllm
    assert {users[each] for each in (server, *server.children(recursive=True))} == {VLLM_UID}
    assert set(users.values()) == {0, GATEWAY_UID, VLLM_UID}


def test_neither_program_has_a_capability_nor_a_way_to_one(container: Container) -> None:
    for process in container.family():
        state = container.status_lines(process)
        assert state["NoNewPrivs"] == "1"
        if process != container.first:
            assert {int(state[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
            assert len(set(state["Uid"].split())) == len(set(state["Gid"].split())) == 1


def test_vllm_knows_neither_keys_nor_the_gateways_settings(container: Container) -> None:
    for process in (container.vllm, *container.vllm.children(recursive=True)):
        environ = process.environ()
        assert not environ.keys() & {"API_KEYS_FILE", "VLLM_API_KEY", "USAGE_DATABASE", "GATEWAY_USER"}
        assert KEY not in str(environ)
    assert "API_KEYS_FILE" in container.master.environ()


@pytest.mark.parametrize("place", ["environ", "mem", "maps", "fd/0", "root/mnt/keys.json"])
def test_vllms_user_cannot_look_into_the_gateway(container: Container, place: str) -> None:
    path = f"/proc/{container.number_inside(container.master)}/{place}"

    assert container.execute_as(VLLM_UID, "head", "-c", 1, path).returncode != 0


def test_the_gateways_user_can_do_what_vllms_cannot(container: Container) -> None:
    number = container.number_inside(container.master)

    assert b"API_KEYS_FILE" in container.execute_as(GATEWAY_UID, "cat", f"/proc/{number}/environ").stdout
    assert KEY.encode() in container.execute_as(GATEWAY_UID, "cat", f"{KEYS_FOLDER}/keys.json").stdout


@pytest.mark.parametrize("uid", [GATEWAY_UID, VLLM_UID])
def test_neither_user_can_end_the_other_or_write_where_it_should_not(container: Container, uid: int) -> None:
    other = container.vllm if uid == GATEWAY_UID else container.master
    foreign = "/var/cache/vllm" if uid == GATEWAY_UID else "/var/lib/vllm-gateway"

    assert container.execute_as(uid, "kill", "-0", container.number_inside(other)).returncode != 0
    assert container.execute_as(uid, "kill", "-0", "1").returncode != 0
    for folder in ("/app", "/opt/gateway", "/opt/model", "/etc", "/run", KEYS_FOLDER, foreign):
        assert container.execute_as(uid, "touch", f"{folder}/planted").returncode != 0, folder
    assert container.execute_as(uid, "touch", "/tmp/mine").returncode == 0
    container.execute_as(uid, "rm", "/tmp/mine")


def test_who_is_left_alone_becomes_the_first_processes_child_and_is_reaped(container: Container) -> None:
    container.execute("sh", "-c", "sleep 1 >/dev/null 2>&1 &")
    (orphan,) = wait_until(
        lambda: [each for each in container.running("sleep") if command_of(each)[-1] == "1"]
    )

    assert orphan.ppid() == container.first.pid
    wait_until(lambda: not psutil.pid_exists(orphan.pid))


def test_every_line_of_ours_in_the_log_is_json_with_a_severity(container: Container) -> None:
    lines = [line for line in container.written_lines() if line.startswith("{")]
    parsed = [json.loads(line) for line in lines]
    ours = [each for each in parsed if "logger" in each]

    assert {"entrypoint", "gunicorn.error", "gateway.startup", "gateway.request"} <= {
        each["logger"] for each in ours
    }
    assert {each["severity"] for each in ours} <= {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
    assert all(each["message"] for each in ours)


def test_nothing_in_it_waits_to_be_reaped(container: Container) -> None:
    assert [each for each in container.family() if each.status() == psutil.STATUS_ZOMBIE] == []


def test_after_sigterm_short_answers_are_whole_long_ones_are_told_and_all_is_gone_in_ten_seconds(
    container: Container,
) -> None:
    family = container.family()
    with open_stream(container, max_tokens=20) as short, open_stream(container, max_tokens=3000) as long:
        began = time.monotonic()
        container.first.send_signal(signal.SIGTERM)
        assert short.read_body().endswith(b"data: [DONE]\n\n")
        assert long.read_body().count(b'"server_shutdown"') == 1
        assert (short.is_whole, long.is_whole) == (True, False)
    assert container.process.wait(STOP_SECONDS) == 0
    assert time.monotonic() - began < STOP_SECONDS
    assert [each for each in family if each.is_running()] == []
