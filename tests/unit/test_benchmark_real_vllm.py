import pytest

from benchmarks.bench_client import REPORTED, ClientFailed, Load
from benchmarks.real_vllm import columns, order

# What `vllm bench serve` 0.32 reports, without its lists.
REPORT = {
    "date": "20261125-205002",
    "endpoint_type": "openai-chat",
    "request_rate": "inf",
    "max_concurrency": 12,
    "duration": 14.142829674998211,
    "completed": 48,
    "failed": 0,
    "total_input_tokens": 4512,
    "total_output_tokens": 2304,
    "request_throughput": 3.393945985565726,
    "request_goodput": None,
    "output_throughput": 162.90940730715485,
    "total_token_throughput": 481.9403299503331,
    "mean_ttft_ms": 1249.4640721459593,
    "median_ttft_ms": 1531.7739860001893,
    "std_ttft_ms": 489.9853072020537,
    "p99_ttft_ms": 1543.7616210991473,
    "mean_itl_ms": 48.063786709646365,
    "median_itl_ms": 41.79828049927892,
    "std_itl_ms": 81.5777993157971,
    "p99_itl_ms": 83.79412649832376,
}


def test_our_metrics_are_read_out_of_the_clients_report() -> None:
    assert Load(requests=48, answer_tokens=48).figures(REPORT) == {
        "rate": 162.90940730715485,
        "requests_per_s": 3.393945985565726,
        "ttft_ms_p50": 1531.7739860001893,
        "ttft_ms_p99": 1543.7616210991473,
        "itl_ms_p50": 41.79828049927892,
        "itl_ms_p99": 83.79412649832376,
        "errors": 0.0,
    }


def test_requests_that_failed_are_errors_and_no_reason_to_stop() -> None:
    report = {**REPORT, "completed": 46, "failed": 2, "total_output_tokens": 46 * 48}

    assert Load(answer_tokens=48).figures(report)["errors"] == 2


def test_a_figure_that_is_no_number_is_none() -> None:
    report = {**REPORT, "p99_itl_ms": float("nan")}

    assert Load(answer_tokens=48).figures(report)["itl_ms_p99"] is None


def test_an_answer_that_is_shorter_than_asked_for_does_not_pass_for_a_fast_one() -> None:
    with pytest.raises(ClientFailed, match="48 answers have 2303 tokens, not 2304"):
        Load(answer_tokens=48).figures({**REPORT, "total_output_tokens": 2303})


def test_each_seed_and_each_place_reach_the_client() -> None:
    arguments = Load(backend="openai").arguments("http://127.0.0.1:8000", seed=7)

    assert arguments[arguments.index("--seed") + 1] == "7"
    assert arguments[arguments.index("--base-url") + 1] == "http://127.0.0.1:8000"
    assert arguments[arguments.index("--endpoint") + 1] == "/v1/completions"


def test_who_goes_first_changes_with_each_round() -> None:
    assert [order(number) for number in range(3)] == [
        ("direct", "ours"),
        ("ours", "direct"),
        ("direct", "ours"),
    ]


def test_a_metric_has_one_value_a_round() -> None:
    rounds = [{**dict.fromkeys(REPORTED, float(n)), "cpu_us": None} for n in range(3)]

    assert columns(rounds) == {**dict.fromkeys(REPORTED, [0.0, 1.0, 2.0]), "cpu_us": [None, None, None]}
