"""vLLM's own benchmark client, `vllm bench serve`, in a process of its own."""

import json
import math
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.environments import VLLM_CPU
from launch.models import CPU_DEFAULT, CPU_DEFAULT_PATH

PROGRAM = Path(__file__).with_name("bench_serve.py")
LAST_WORDS = 2000  # characters
ENDPOINTS = {"openai-chat": "/v1/chat/completions", "openai": "/v1/completions"}

# Our metrics by the client's names for them. vLLM 0.32, vllm/benchmarks/serve.py: `benchmark`.
REPORTED = {
    "rate": "output_throughput",
    "requests_per_s": "request_throughput",
    "ttft_ms_p50": "median_ttft_ms",
    "ttft_ms_p99": "p99_ttft_ms",
    "itl_ms_p50": "median_itl_ms",
    "itl_ms_p99": "p99_itl_ms",
    "errors": "failed",
}


class ClientFailed(Exception):
    """The client ended, or told something that no sound run can tell; the text says what."""


@dataclass(frozen=True)
class Load:
    """One run: so many requests, `at_once` of them at any time; lengths of prompt and answer in tokens.

    A chat's prompt is longer by what the model's template adds: 30 tokens with the default model.
    """

    requests: int = 48
    at_once: int = 12
    prompt_tokens: int = 64
    answer_tokens: int = 48
    backend: str = "openai-chat"

    def arguments(self, url: str, seed: int) -> list[str]:
        """Those of `vllm bench serve`. Another seed makes other prompts."""
        return [
            *("--backend", self.backend, "--base-url", url, "--endpoint", ENDPOINTS[self.backend]),
            *("--model", CPU_DEFAULT, "--tokenizer", str(CPU_DEFAULT_PATH)),
            *("--dataset-name", "random", "--seed", str(seed), "--num-prompts", str(self.requests)),
            *("--random-input-len", str(self.prompt_tokens), "--random-output-len", str(self.answer_tokens)),
            *("--request-rate", "inf", "--max-concurrency", str(self.at_once)),
            *("--temperature", "0", "--ignore-eos", "--disable-tqdm", "--percentile-metrics", "ttft,itl"),
        ]

    def figures(self, report: Mapping[str, Any]) -> dict[str, float | None]:
        """Our metrics out of the client's report, None for what it could not tell.

        Raises ClientFailed when answers that count as successful were shorter than they had to be.
        """
        made, due = report["total_output_tokens"], report["completed"] * self.answer_tokens
        if made != due:
            raise ClientFailed(f"{report['completed']} answers have {made} tokens, not {due}")
        values = {metric: float(report[name]) for metric, name in REPORTED.items()}
        return {metric: value if math.isfinite(value) else None for metric, value in values.items()}


class BenchClient:
    """That process. It sends `key` as a bearer token, and writes its tables to the file `log`."""

    def __init__(self, key: str, log: Path) -> None:
        self._log = log
        self._environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "OPENAI_API_KEY": key,
            "CUDA_VISIBLE_DEVICES": "-1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_LOGGING_LEVEL": "WARNING",
            "VLLM_NO_USAGE_STATS": "1",
        }

    def __enter__(self) -> "BenchClient":
        # -P: the folder of the program has modules of other names that libraries might ask for.
        command = [str(VLLM_CPU.python), "-P", str(PROGRAM)]
        pipe = subprocess.PIPE
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self._environ, stdin=pipe, stdout=pipe, stderr=log, text=True
            )
        try:
            self.version: str = self._read()["version"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self._process.kill()  # it keeps nothing
        self._process.communicate()

    def run(self, arguments: list[str]) -> dict[str, Any]:
        """What the client reports of one run. Raises ClientFailed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ClientFailed(f"the benchmark client ended:\n{self._log.read_text()[-LAST_WORDS:]}")
        report: dict[str, Any] = json.loads(line)
        return report
