"""Administrators ask a running gateway, or its database, who used how much."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client import KEY
from tests.fake_vllm import FakeVllmThread
from tests.gateway import Gateway, wait_until
from tests.usage_command import UsageCommand
from tests.usage_traffic import ADMIN, KEYS, Traffic, ask_usage, write_keys


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, upstream: FakeVllmThread) -> Iterator[Gateway]:
    """A gateway that has been used."""
    folder = tmp_path_factory.mktemp("used")
    write_keys(folder)
    with Gateway(folder, upstream.url, GPU_PRICE_PER_HOUR="0.71") as gateway:
        gateway.wait_ready()
        Traffic().run(gateway, 60)
        command = UsageCommand(USAGE_DATABASE=gateway.environ["USAGE_DATABASE"])
        wait_until(lambda: command.report()["totals"]["requests"] == 60, 15)
        yield gateway


@pytest.fixture
def command(used: Gateway) -> UsageCommand:
    """As its operator has it: the same settings, and an administrator's key."""
    place = used.environ["USAGE_DATABASE"]
    return UsageCommand(USAGE_DATABASE=place, GPU_PRICE_PER_HOUR="0.71", VLLM_ADMIN_KEY=ADMIN)


def url_of(gateway: Gateway) -> str:
    return f"http://127.0.0.1:{gateway.port}"


def test_every_key_and_model_has_a_row_and_the_totals_are_their_sum(used: Gateway) -> None:
    report = ask_usage(used)

    labels = [(row["key"], row["model"]) for row in report["rows"]]
    assert len(labels) == len(set(labels))
    assert {key for key, _ in labels} == set(KEYS)
    for name in ("requests", "errors", "aborts", "prompt_tokens", "completion_tokens", "bytes_out"):
        assert report["totals"][name] == sum(row[name] for row in report["rows"]) > 0
    seconds = sum(row["gpu_seconds"] for row in report["rows"])
    assert report["totals"]["gpu_seconds"] == pytest.approx(seconds, abs=1e-4)  # each is rounded


def test_the_seconds_of_the_keys_are_those_in_which_the_instance_was_busy(used: Gateway) -> None:
    report = ask_usage(used)

    times = report["instances"]
    assert times["busy_seconds"] == pytest.approx(report["totals"]["gpu_seconds"], rel=0.05)
    assert times["startup_seconds"] > 0
    assert times["idle_seconds"] > 0
    assert times["idle_cost"] == pytest.approx(times["idle_seconds"] / 3600 * 0.71, abs=1e-6)


@pytest.mark.parametrize("by", ["key", "model", "day"])
def test_rows_can_be_summed_by_one_label(used: Gateway, by: str) -> None:
    report = ask_usage(used, f"?by={by}&since=1d")

    assert all(by in row for row in report["rows"])
    assert sum(row["requests"] for row in report["rows"]) == report["totals"]["requests"] == 60


def test_a_zone_may_come_as_people_type_it(used: Gateway) -> None:
    report = ask_usage(used, "?since=2020-01-01T00:00:00+01:00")

    assert report["since"] == "2019-12-31T23:00:00Z"


def test_another_time_has_other_usage(used: Gateway) -> None:
    report = ask_usage(used, "?since=2020-01-01&until=2020-02-01T00:00:00Z")

    assert (report["since"], report["until"]) == ("2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z")
    assert (report["rows"], report["totals"]["requests"]) == ([], 0)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("since=yesterday", "since"), ("since=", "since"), ("until=0h", "until"),
        ("since=1h&until=2h", "since"), ("since=1h&since=2h", "since"), ("by=colour", "by"),
    ],
)  # fmt: skip
def test_a_time_that_is_none_is_refused_by_name(used: Gateway, query: str, param: str) -> None:
    reply = used.request("GET", f"/admin/usage?{query}", headers={"X-API-Key": ADMIN})

    assert (reply.status, reply.error_code) == (400, "invalid_field")
    error = reply.json()["error"]
    assert error["param"] == param
    assert not any(char.isdigit() for char in error["message"])


def test_usage_is_for_administrators(used: Gateway) -> None:
    assert used.request("GET", "/admin/usage").status == 401
    assert used.request("GET", "/admin/usage", headers={"X-API-Key": KEYS["tester"]}).status == 403
    assert used.request("POST", "/admin/usage", b"", headers={"X-API-Key": ADMIN}).status == 405


def test_the_command_asks_a_running_gateway(used: Gateway, command: UsageCommand) -> None:
    report, asked = command.report("--url", url_of(used) + "/"), ask_usage(used)

    assert report["rows"] == asked["rows"]
    assert report["price_per_hour"] == 0.71


def test_the_command_prints_a_table_of_either(used: Gateway, command: UsageCommand) -> None:
    for arguments in ((), ("--url", url_of(used), "--by", "key")):
        lines = command(*arguments).splitlines()
        assert lines[2].startswith("KEY")
        assert any(line.startswith("tester") for line in lines)
        assert any(line.startswith("TOTAL") for line in lines)


def test_the_command_writes_csv(used: Gateway, command: UsageCommand) -> None:
    rows = list(csv.DictReader(io.StringIO(command("--csv", "--url", url_of(used)))))

    assert sum(int(row["requests"]) for row in rows) == 60
    assert sum(float(row["cost"]) for row in rows) == pytest.approx(
        ask_usage(used)["totals"]["cost"], abs=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "environ", "told"),
    [
        (("--since", "never"), {}, "--since must be"),
        (("--by", "colour"), {}, "colour"),
        ((), {"USAGE_DATABASE": "off"}, "--url"),
        ((), {"USAGE_DATABASE": "/no/such/usage.db"}, "/no/such/usage.db cannot be read"),
        (("--since", "1d", "--until", "2d"), {}, "--since must be earlier than until"),
        (("--url", "http://127.0.0.1:1"), {}, "No gateway can be reached"),
        (("--url", "gateway.example"), {}, "has to look like https://gateway.example"),
        (("--url", "{url}"), {"VLLM_ADMIN_KEY": "sk-\n-ключ"}, "holds what no key can be"),
        (("--url", "{url}"), {"VLLM_ADMIN_KEY": "", "VLLM_API_KEY": ""}, "VLLM_ADMIN_KEY"),
        (("--url", "{url}"), {"VLLM_ADMIN_KEY": "", "VLLM_API_KEY": KEYS["tester"]}, "answered 403"),
        (("--url", "{url}", "--since", "never"), {}, "since must be"),
    ],
)
def test_the_command_says_in_a_sentence_what_is_wrong(
    used: Gateway, command: UsageCommand, arguments: Any, environ: dict[str, str], told: str
) -> None:
    command.environ |= environ
    status, output, error = command.run(*(each.format(url=url_of(used)) for each in arguments))

    assert status != 0
    assert output == ""
    assert told in error
    assert "Traceback" not in error


def test_the_command_makes_no_file(tmp_path: Path) -> None:
    UsageCommand(USAGE_DATABASE=str(tmp_path / "usage.db")).run()

    assert list(tmp_path.iterdir()) == []


def test_keys_prompts_and_answers_are_in_no_file_of_usage(used: Gateway) -> None:
    content = Path(used.environ["USAGE_DATABASE"]).read_bytes()

    assert b"tester" in content
    assert not any(key.encode() in content for key in (*KEYS.values(), ADMIN, KEY))
    assert b"hello" not in content
