"""What stands in deploy/ for other places than Cloud Run, judged by the programs that it is for."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from launch.environments import AUDIT_TOOLS
from tests.dockerfile import HEALTH_CHECK
from tests.gateway import Gateway
from tests.local import free_port
from tests.manifests import DEPLOY, FOLDERS, PAGE, load, restricted

VERSIONS = (
    "1.30",
    "1.37",
)  # of Kubernetes: the oldest that the page names, and the newest that is known here
METRIC = "vllm_gateway_requests_in_flight"


def run(*command: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """To its end; what it said is kept."""
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, check=False, **more
    )


def validate(file: Path, version: str) -> subprocess.CompletedProcess[str]:
    """Look at a manifest by the schemas of that version of Kubernetes."""
    program = AUDIT_TOOLS.python.with_name("kubernetes-validate")
    return run(program, "--strict", "--kubernetes-version", version, file)


def check_compose(file: Path) -> subprocess.CompletedProcess[str]:
    """Look at a file by Compose's schema."""
    program = AUDIT_TOOLS.python.with_name("check-jsonschema")
    return run(program, "--builtin-schema", "vendor.compose-spec", file)


def promtool(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Debian's, which knows no Kubernetes."""
    return run("promtool", *command, cwd=cwd)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_manifests_are_what_kubernetes_takes(version: str) -> None:
    seen = validate(DEPLOY / "kubernetes.yaml", version)

    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert seen.stderr.count(" passed ") + seen.stdout.count(" passed ") == len(load("kubernetes.yaml"))


@pytest.mark.parametrize(
    ("good", "bad"),
    [("maxUnavailable: 1 ", "maxUnavailables: 1 "), ("periodSeconds: 20", "periodSeconds: often")],
)
def test_a_manifest_with_a_field_that_is_none_is_refused(tmp_path: Path, good: str, bad: str) -> None:
    text = (DEPLOY / "kubernetes.yaml").read_text()
    (tmp_path / "bad.yaml").write_text(text.replace(good, bad))

    assert text.count(good) == 1
    assert validate(tmp_path / "bad.yaml", VERSIONS[-1]).returncode != 0


@pytest.mark.parametrize("version", VERSIONS)
def test_the_patched_deployment_is_one(tmp_path: Path, version: str) -> None:
    (tmp_path / "restricted.yaml").write_text(yaml.safe_dump(restricted()))
    seen = validate(tmp_path / "restricted.yaml", version)

    assert seen.returncode == 0, seen.stdout + seen.stderr


def test_the_compose_file_is_what_compose_takes(tmp_path: Path) -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    (tmp_path / "bad.yaml").write_text(text.replace("shm_size", "shm_sizes"))
    seen = check_compose(DEPLOY / "compose.yaml")

    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert check_compose(tmp_path / "bad.yaml").returncode != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="folders are given to other users by root alone")
def test_each_user_gets_a_folder_of_its_own_also_where_it_has_it_already(tmp_path: Path) -> None:
    shell, option, script = FOLDERS["command"]
    for mount in FOLDERS["volumeMounts"]:
        path = mount["mountPath"]
        (tmp_path / path[1:]).mkdir(parents=True)
        (tmp_path / path[1:]).chmod(0o2777)
        script = script.replace(f" {path}", f" {tmp_path}{path}")
    kept = ",".join(f"+{name.lower()}" for name in FOLDERS["securityContext"]["capabilities"]["add"])
    limited = ("setpriv", "--no-new-privs", f"--bounding-set=-all,{kept}", f"--inh-caps=-all,{kept}")

    for _ in range(2):  # a pod that is set up anew keeps its folders
        seen = run(*limited, shell, option, script)
        assert (seen.returncode, seen.stderr) == (0, "")

    found = {
        path: (tmp_path / path).stat()
        for path in ("tmp", "dev/shm", "var/lib/vllm-gateway", "var/cache/vllm")
    }
    assert {path: (stat.S_IMODE(each.st_mode) & 0o1777, each.st_uid) for path, each in found.items()} == {
        "tmp": (0o1777, 0),
        "dev/shm": (0o1777, 0),
        "var/lib/vllm-gateway": (0o700, 10001),
        "var/cache/vllm": (0o700, 10002),
    }


def test_the_images_health_check_tells_a_gateway_that_lives_from_none(gateway: Gateway) -> None:
    def status(port: int) -> int:
        return run("env", f"PORT={port}", sys.executable, *HEALTH_CHECK[1:]).returncode

    assert status(gateway.port) == 0
    assert status(free_port()) != 0


def evaluate(query: str, wanted: dict[str, float], folder: Path) -> None:
    """After a minute of load on two pods, and elsewhere, the query gives these values by their labels."""
    series = {
        f'{METRIC}{{namespace="vllm",pod="a"}}': "8 16 24 32",  # one each 15 s
        f'{METRIC}{{namespace="vllm",pod="b"}}': "0 0 0 0",
        f'{METRIC}{{namespace="other",pod="a"}}': "99 99 99 99",
    }
    samples = [{"labels": labels, "value": value} for labels, value in wanted.items()]
    test = {
        "interval": "15s",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "45s", "exp_samples": samples}],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [test]}))
    seen = promtool("test", "rules", "test.yaml", cwd=folder)
    assert seen.returncode == 0, seen.stdout + seen.stderr


def test_the_adapters_query_gives_each_pod_the_mean_of_its_minute(tmp_path: Path) -> None:
    [rule] = load("prometheus-adapter.yaml")[0]["rules"]["custom"]
    query = rule["metricsQuery"]
    filled = {"Series": METRIC, "LabelMatchers": 'namespace="vllm",pod=~"a|b"', "GroupBy": "pod"}
    for placeholder, value in filled.items():
        assert f"<<.{placeholder}>>" in query
        query = query.replace(f"<<.{placeholder}>>", value)

    assert "<<" not in query
    evaluate(query, {'{pod="a"}': 20, '{pod="b"}': 0}, tmp_path)


def test_the_query_for_keda_gives_the_load_of_all_pods(tmp_path: Path) -> None:
    [query] = re.findall(r"`(sum\(.*)`", PAGE)

    evaluate(query, {"{}": 20}, tmp_path)


def test_the_scrape_of_pods_is_a_configuration_but_for_how_they_are_found(tmp_path: Path) -> None:
    [config] = load("prometheus-kubernetes.yaml")
    for job in config["scrape_configs"]:
        assert [each["role"] for each in job.pop("kubernetes_sd_configs")] == ["pod"]
        job["static_configs"] = [{"targets": ["pod:8080"]}]
    shutil.copy(DEPLOY / "alerts.yaml", tmp_path)
    (tmp_path / "vllm-gateway.key").touch()
    (tmp_path / "prometheus.yaml").write_text(json.dumps(config))
    seen = promtool("check", "config", "prometheus.yaml", cwd=tmp_path)

    assert seen.returncode == 0, seen.stdout + seen.stderr
