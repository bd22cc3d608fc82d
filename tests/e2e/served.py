"""`make serve` with the default model, and what vLLM itself says of it."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.client import RawClient
from tests.gateway import Gateway, wait_until
from tests.local import ROOT, free_port

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
STORY = [{"role": "user", "content": "Write a long story about a dog."}]
START_SECONDS = 300.0
SAMPLE = re.compile(r"^(vllm:\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Served(Gateway):
    """Both programs and a real model, as a person starts them on a machine without a GPU."""

    command = (sys._base_executable, "-m", "launch")  # the Python outside our environment
    keys_shown = 1  # the one that it has made
    most_at_once = 4  # generations; what comes then waits in vLLM's queue

    def __init__(self, folder: Path, **settings: str) -> None:
        self.cwd = ROOT
        self.keys_file = folder / "keys.json"
        self.log_file = folder / "serve.log"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        # The key of a user who set up OpenCode in the same shell: vLLM must not take it for its own.
        self.environ = {
            **kept,
            "API_KEYS_FILE": str(self.keys_file),
            "USAGE_DATABASE": str(folder / "usage.db"),
            "VLLM_API_KEY": "sk-not-for-vllm",
            "CUDA_VISIBLE_DEVICES": "-1",
            "DRAIN_SECONDS": "30",
            "LOG_FORMAT": "json",
            "VLLM_EXTRA_ARGS": f"--max-num-seqs {self.most_at_once}",
            **settings,
        }

    def __enter__(self) -> "Served":
        self.port = free_port()
        self.listened: set[tuple[str, int]] = set()  # anywhere, at any time of the start
        self.launch()
        try:
            wait_until(self._has_started, START_SECONDS)
            assert self.process.poll() is None, self.output()
        except BaseException:
            self.__exit__()
            raise
        entry = json.loads(self.keys_file.read_text())["local"]
        self.key = str(entry["key"])
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def _has_started(self) -> bool:
        self.listened |= self.listening()
        return self.process.poll() is not None or "Ctrl-C" in self.output()

    def output(self) -> str:
        """What a person has seen so far."""
        return self.log_file.read_text()

    def written_lines(self) -> list[str]:
        """Those of the gateway and entrypoint.sh; the others are for people, or a library's."""
        return [line for line in super().written_lines() if line.startswith('{"')]

    def family(self) -> list[psutil.Process]:
        """Every process below this one."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def listening(self) -> set[tuple[str, int]]:
        """Where any process below this one takes connections, or datagrams, over a network."""
        places = set()
        for process in self.family():
            with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
                found = process.net_connections("inet")
                places |= {tuple(each.laddr) for each in found if each.laddr and not each.raddr}
        return places

    def open_stream(self, body: dict[str, Any], target: str = "/v1/chat/completions") -> RawClient:
        """A client that has sent its request and read nothing yet."""
        client = self.connect()
        body = {"model": MODEL, "stream": True, "temperature": 0, **body}
        client.send_request("POST", target, body, X_API_Key=self.key)
        return client

    def metric(self, name: str, **labels: str) -> float:
        """The sum of vLLM's own samples of this name and these labels."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        samples = SAMPLE.findall(self.ask_vllm("GET", "/metrics").decode())
        return sum(float(v) for n, found, v in samples if n == name and wanted <= set(found.split(",")))

    def ask_vllm(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        """What vLLM answers when it is asked on its own socket."""
        return self.vllm_reply(method, path, body)[1]

    def vllm_reply(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """The same, with the status before it."""
        declared = {} if body is None else {"Content-Type": "application/json"}
        with closing(http.client.HTTPConnection("vllm", timeout=60)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(self.vllm_socket())
            connection.request(method, path, None if body is None else json.dumps(body), declared)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def vllm_socket(self) -> str:
        """The path of the socket that vLLM listens on."""
        arguments = self.api_server().cmdline()
        return arguments[arguments.index("--uds") + 1]

    def api_server(self) -> psutil.Process:
        """vLLM's process that listens."""
        for process in self.family():
            with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):  # vLLM runs short programs
                if "--uds" in process.cmdline():
                    return process
        raise AssertionError("vLLM does not run")

    def stop_during_two_streams(self) -> None:
        """The last thing that happens to it: SIGTERM during two streams that are shorter than the drain."""
        family, body = self.family(), {"messages": STORY, "max_tokens": 40}
        with self.open_stream(body) as one, self.open_stream(body) as two:
            one.read_head()
            two.read_head()
            self.process.send_signal(signal.SIGTERM)
            for client in (one, two):
                assert client.read_body().endswith(b"data: [DONE]\n\n")
                assert client.is_whole
        assert self.process.wait(40) == 0
        _, alive = psutil.wait_procs(family, 5)
        assert alive == []


def curl(served: Served, target: str, body: dict[str, Any]) -> str:
    """What curl prints; the key is given as the README shows."""
    content = json.dumps({"model": MODEL, "temperature": 0, **body})
    command = ["curl", "-sSN", "--fail-with-body", "--max-time", "60", served.url + target, "-d", content]
    headers = ["-H", f"X-API-Key: {served.key}", "-H", "Content-Type: application/json"]
    return subprocess.run([*command, *headers], capture_output=True, text=True, check=True, cwd=ROOT).stdout
