"""A container that is started as one user, on a port that the platform chooses, until its gateway dies."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.models import CPU_DEFAULT
from tests.image.container import GATEWAY_UID, STOP_SECONDS, Container
from tests.image.network import listening

PORT = 9099


@pytest.fixture(scope="module")
def container(rootfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    settings = {"uid": GATEWAY_UID, "capabilities": (), "PORT": PORT}
    with Container(tmp_path_factory.mktemp("one"), rootfs, **settings) as running:
        running.wait_ready()
        yield running


def test_everything_runs_as_that_user_without_any_right(container: Container) -> None:
    family = container.family()

    assert {each.uids().real for each in family} == {GATEWAY_UID}
    assert {container.status_lines(each)["CapBnd"] for each in family} == {"0" * 16}
    assert {container.status_lines(each)["NoNewPrivs"] for each in family} == {"1"}


def test_it_answers_on_the_port_it_was_given_and_on_no_other(container: Container) -> None:
    body = {"model": CPU_DEFAULT, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}

    assert json.loads(container.post("/v1/chat/completions", body).body)["usage"]["completion_tokens"] == 5
    assert {port for _, address, port, _ in listening() if not address.endswith("7F")} == {PORT}


def test_its_health_check_looks_at_that_port(container: Container) -> None:
    assert container.check_health() == 0


def test_where_the_gateway_is_killed_the_container_ends_by_itself_with_a_failure(
    container: Container,
) -> None:
    family = container.family()
    container.master.send_signal(signal.SIGKILL)

    assert container.process.wait(STOP_SECONDS) == 1
    assert [each for each in family if each.is_running()] == []
