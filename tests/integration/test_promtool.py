"""What stands in deploy/ is what Prometheus takes, by its own tool, and names only what there is."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.client import KEY
from tests.gateway import Gateway
from tests.local import ROOT
from tests.scrape import ADMIN, BOSS, scrape

DEPLOY = ROOT / "deploy"
NAME = re.compile(r"vllm(?:_gateway_\w+|:\w+)")
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
VARIABLES = {
    "$__rate_interval": "5m",
    "$__range": "6h",
    "$job": ".*",
    "$instance": ".*",
    "$vllm_job": ".*",
    "$price": "1.00",
}


def expressions() -> Iterator[str]:
    """Every query of the dashboard, with its variables filled in."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for name in sorted(VARIABLES, key=len, reverse=True):
                query = query.replace(name, VARIABLES[name])
            yield query


def promtool(*arguments: object, stdin: bytes | None = None, cwd: Path = DEPLOY) -> str:
    """Run it; it has nothing to say against what it is given."""
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    return (done.stdout + done.stderr).decode()


@pytest.fixture(scope="module")
def gateway(gateway_of: Callable[[Any], Gateway]) -> Gateway:
    ends = {"key": "sk-ends-0123456789abcdef", "expires": "2999-01-01T00:00:00Z"}
    return gateway_of({"boss": BOSS, "tester": KEY, "guest": ends})


def test_the_metrics_are_as_prometheus_wants_them(gateway: Gateway) -> None:
    for stream in (True, False):
        gateway.chat(stream=stream)

    reply = gateway.request("GET", "/metrics", headers={"X-API-Key": ADMIN})

    assert promtool("check", "metrics", stdin=reply.body) == ""


def test_the_rules_and_their_tests_pass() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "--lint-fatal", "alerts.yaml")
    promtool("test", "rules", "alerts_test.yaml")


def test_each_alert_is_seen_to_fire_and_to_stay_quiet() -> None:
    tests = yaml.safe_load((DEPLOY / "alerts_test.yaml").read_text())["tests"]
    seen = {
        (case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]
    }

    assert seen == {(rule["alert"], fires) for rule in RULES for fires in (True, False)}


def test_the_scrape_is_a_configuration(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path, dirs_exist_ok=True)
    (tmp_path / "vllm-gateway.key").write_text(KEY)

    promtool("check", "config", "prometheus.yaml", cwd=tmp_path)


def test_every_query_of_the_dashboard_can_be_parsed(tmp_path: Path) -> None:
    queries = list(expressions())
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))

    assert f"{len(queries)} rules found" in promtool("check", "rules", "rules.yaml", cwd=tmp_path)
    assert not [query for query in queries if "$" in query]


def test_the_dashboard_and_the_rules_name_only_what_a_scrape_has(gateway: Gateway) -> None:
    known = scrape(gateway).names | scrape(gateway, "/metrics/vllm").names
    variables = [each.get("definition", "") for each in DASHBOARD["templating"]["list"]]

    named = NAME.findall(" ".join([*expressions(), *variables, *(rule["expr"] for rule in RULES)]))

    assert set(named) - known == set()


def test_the_dashboard_shows_everything_that_a_scrape_has(gateway: Gateway) -> None:
    shown = set(NAME.findall(" ".join(expressions())))
    suffix = re.compile(r"_(bucket|sum|count)$")

    own = {suffix.sub("", name) for name in scrape(gateway).names}
    assert own - {suffix.sub("", name) for name in shown} == set()


def test_every_panel_of_the_dashboard_has_its_place() -> None:
    panels = DASHBOARD["panels"]
    places = [panel["gridPos"] for panel in panels]
    cells = [
        (x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
    assert [panel["title"] for panel in panels if panel["type"] == "row"] == [
        *("Traffic", "Errors", "Latency", "Tokens by key", "GPU and cost", "Keys", "Process", "vLLM")
    ]
