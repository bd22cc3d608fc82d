"""What stands in deploy/ for other places than Cloud Run, judged by the programs that it is for."""

import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from launch.environments import AUDIT_TOOLS
from tests.client import RawClient
from tests.gateway import Gateway, chat_body, wait_until
from tests.local import ROOT, free_port
from tests.manifests import DEPLOY, FOLDERS, SERVICE, SHELL, load, restricted
from tests.measure.program import SYSTEM_PROGRAMS

VERSIONS = (
    "1.30",
    "1.37",
)  # of Kubernetes: the oldest that the page names, and the newest that is known here
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:{SYSTEM_PROGRAMS}")
HOST = "llm.example.org"


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


@pytest.mark.parametrize("block", SHELL, ids=lambda text: " ".join(text.split()[:3]))
def test_what_the_page_has_one_type_is_sound_shell(block: str) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    seen = run(shellcheck, "--shell", "bash", "-", input=block)

    assert seen.stdout == ""
    assert seen.returncode == 0


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


def test_the_health_check_tells_a_gateway_that_lives_from_none(gateway: Gateway) -> None:
    kind, _, *arguments = SERVICE["healthcheck"]["test"]

    def status(port: int) -> int:
        asked = [argument.replace(":8080/", f":{port}/") for argument in arguments]
        assert asked != arguments
        return run(sys.executable, *asked).returncode

    assert kind == "CMD"
    assert status(gateway.port) == 0
    assert status(free_port()) != 0


def test_the_adapters_query_gives_each_pod_the_mean_of_its_minute(tmp_path: Path) -> None:
    [rule] = load("prometheus-adapter.yaml")[0]["rules"]["custom"]
    name = rule["name"]["as"]
    filled = {"<<.Series>>": name, "<<.LabelMatchers>>": 'namespace="vllm",pod=~"a|b"', "<<.GroupBy>>": "pod"}
    query = rule["metricsQuery"]
    for placeholder, value in filled.items():
        assert placeholder in query
        query = query.replace(placeholder, value)
    assert "<<" not in query
    series = {
        f'{name}{{namespace="vllm",pod="a"}}': "8 16 24 32",  # one each 15 s
        f'{name}{{namespace="vllm",pod="b"}}': "0 0 0 0",
        f'{name}{{namespace="other",pod="a"}}': "99 99 99 99",
    }
    wanted = [{"labels": '{pod="a"}', "value": 20}, {"labels": '{pod="b"}', "value": 0}]
    test = {
        "interval": "15s",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "45s", "exp_samples": wanted}],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [test]}))
    seen = promtool("test", "rules", "test.yaml", cwd=tmp_path)

    assert seen.returncode == 0, seen.stdout + seen.stderr


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


@contextmanager
def nginx(folder: Path, gateway_port: int, authority: trustme.CA) -> Iterator[int]:
    """The server of deploy/nginx.conf, with a certificate and ports of this test's own."""
    port = free_port()
    certificate = authority.issue_cert(HOST)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    text = (DEPLOY / "nginx.conf").read_text()
    replaced = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        f"/etc/ssl/{HOST}.pem": f"{folder}/both.pem",
        f"/etc/ssl/{HOST}.key": f"{folder}/both.pem",
        "127.0.0.1:8080": f"127.0.0.1:{gateway_port}",
    }
    for old, new in replaced.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "server.conf").write_text(text)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; include {folder}/server.conf; }}\n"
    )
    command = (str(NGINX), "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log")
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_until(lambda: listens(port))
        yield port
    finally:
        process.terminate()
        process.wait(10)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed; `make bench-setup` says how")
def test_nginx_passes_each_event_on_as_it_comes_and_tells_whose_it_is(
    tmp_path: Path, start_gateway: Any
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    gateway = start_gateway(TRUSTED_PROXY_HOPS=1)
    gateway.wait_ready()

    with nginx(tmp_path, gateway.port, authority) as port, RawClient(port, source="127.0.0.5") as client:
        client.sock = context.wrap_socket(client.sock, server_hostname=HOST)
        body = chat_body(stream=True, fake={"events": 3, "interval": 1.0})
        client.send_request("POST", "/v1/chat/completions", body, Host=HOST, X_Forwarded_For="192.0.2.1")
        assert client.read_head() == 200
        arrivals = [time.monotonic() for _ in client.body()]
        request_id = client.request_id

    assert len(arrivals) >= 3
    assert all(later - earlier > 0.15 for earlier, later in pairwise(arrivals[:3]))
    assert gateway.log_line(request_id=request_id)["peer"] == "127.0.0.5"  # not what the client says
