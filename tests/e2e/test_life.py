"""The real vLLM hangs or dies: whoever waits is told, probes are told, and nothing pretends to live."""

import json
from contextlib import suppress
from pathlib import Path

import psutil

from tests.client import RawClient
from tests.e2e.served import STORY, Served
from tests.gateway import wait_until

NOTICED_SECONDS = 20.0
LONG = {"messages": STORY, "max_tokens": 2000, "ignore_eos": True}


def readiness(served: Served) -> tuple[int, str]:
    reply = served.request("GET", "/health/ready")
    return reply.status, reply.json()["phase"]


def engine_of(served: Served) -> psutil.Process:
    found = []
    for process in served.family():
        with suppress(psutil.NoSuchProcess):  # vLLM runs short programs
            if "EngineCore" in " ".join(process.cmdline()):
                found.append(process)
    (engine,) = found
    return engine


def last_error(client: RawClient) -> str:
    body = client.read_body()
    assert b"[DONE]" not in body
    assert not client.is_whole
    return str(json.loads(body.rstrip().split(b"data: ")[-1])["error"]["message"])


def test_a_server_that_hangs_is_not_ready_until_it_goes_on(served: Served) -> None:
    server = served.api_server()
    server.suspend()
    try:
        wait_until(lambda: readiness(served) == (503, "upstream_unavailable"), NOTICED_SECONDS)
        assert served.request("GET", "/health/live").status == 200
    finally:
        server.resume()

    served.wait_ready()


def test_an_engine_that_hangs_behind_a_green_health_route_ends_the_instance(tmp_path: Path) -> None:
    with Served(tmp_path, FIRST_BYTE_TIMEOUT_SECONDS="8", UPSTREAM_HANG_SECONDS="15") as served:
        family = served.family()
        engine_of(served).suspend()
        with served.open_stream({**LONG, "stream": False}) as client:
            client.sock.settimeout(30)
            assert client.read_head() == 504

        wait_until(lambda: readiness(served) == (503, "upstream_unavailable"), NOTICED_SECONDS)
        served.ask_vllm("GET", "/health")  # which still answers
        assert served.process.wait(60) == 1
        _, alive = psutil.wait_procs(family, 5)
        assert alive == []
    assert served.log_lines(message="the model answers probes, but makes no tokens")


def test_an_engine_that_dies_ends_its_streams_and_the_instance(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        family = served.family()
        with served.open_stream(LONG) as one, served.open_stream(LONG) as two:
            for client in (one, two):
                client.sock.settimeout(30)
                client.read_head()
                next(client.body())

            engine_of(served).kill()

            assert all(last_error(client) for client in (one, two))
        assert served.process.wait(15) == 1
        _, alive = psutil.wait_procs(family, 5)
        assert alive == []
