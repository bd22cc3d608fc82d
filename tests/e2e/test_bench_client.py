"""vLLM's own benchmark client works through the gateway, with everything that it can send."""

from collections.abc import Iterator

import pytest

from benchmarks.bench_client import BenchClient, Load
from tests.e2e.served import Served

SAMPLING = (
    *("--top-p", "0.9", "--top-k", "20", "--min-p", "0.05", "--repetition-penalty", "1.1"),
    *("--frequency-penalty", "0.1", "--presence-penalty", "0.1", "--logprobs", "3"),
    *("--extra-body", '{"chat_template_kwargs": {"enable_thinking": false}, "seed": 1}'),
)


@pytest.fixture(scope="module")
def client(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BenchClient]:
    with BenchClient(served.key, tmp_path_factory.mktemp("client") / "log") as running:
        yield running


@pytest.mark.parametrize("backend", ["openai-chat", "openai"])
@pytest.mark.parametrize("more", [(), SAMPLING], ids=["defaults", "sampling"])
def test_every_request_of_the_benchmark_client_succeeds(
    served: Served, client: BenchClient, backend: str, more: tuple[str, ...]
) -> None:
    load = Load(requests=8, at_once=4, prompt_tokens=16, answer_tokens=4, backend=backend)

    report = client.run([*load.arguments(served.url, seed=1), *more])

    assert (report["completed"], load.figures(report)["errors"]) == (8, 0)
