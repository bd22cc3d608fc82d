"""The three ways to run the image elsewhere agree with each other, with their page, and with the code."""

import re

import pytest

from app.settings import Settings, load_settings
from tests.cloud_files import seconds_after_drain
from tests.image.container import WRITABLE
from tests.local import ROOT
from tests.manifests import (
    COMPOSE_VARIABLES,
    CONTAINER,
    KINDS,
    PAGE,
    POD,
    POD_ENVIRON,
    PROBES,
    SERVICE,
    SERVICE_ENVIRON,
    SHELL,
    by_default,
    docker_run,
    pairs,
    seconds,
)
from tests.shellcheck import complaints

SETTINGS = set(Settings.__struct_encode_fields__)
# What is no setting of the gateway: of the build, of clients, and what Kubernetes would set.
OTHER_NAMES = {"HF_TOKEN", "MODEL_REVISION", "VLLM_API_KEY", "VLLM_PORT"}


@pytest.mark.parametrize("environ", [POD_ENVIRON, SERVICE_ENVIRON, pairs(docker_run().env)])
def test_each_variable_is_a_setting_with_a_value_that_is_taken(environ: dict[str, str]) -> None:
    assert set(environ) - SETTINGS == set()
    load_settings(environ)


def test_nothing_is_killed_before_its_streams_had_their_time() -> None:
    sleep = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = POD["terminationGracePeriodSeconds"]
    drain = load_settings(POD_ENVIRON).drain_seconds

    assert grace > sleep + drain + seconds_after_drain()
    assert f"| {sleep} s of sleep |" in PAGE
    assert f"| {grace} s | the sleep, `DRAIN_SECONDS` of {drain:.0f}" in PAGE
    one_machine = load_settings(SERVICE_ENVIRON).drain_seconds
    assert seconds(SERVICE["stop_grace_period"]) > one_machine + seconds_after_drain()


def test_every_port_is_the_gateways() -> None:
    [port] = CONTAINER["ports"]
    [service] = KINDS["Service"]["spec"]["ports"]
    [ingress] = KINDS["NetworkPolicy"]["spec"]["ingress"]
    wanted = Settings().port

    assert port["containerPort"] == wanted
    named = [probe["httpGet"]["port"] for probe in PROBES.values()]
    assert {*named, service["targetPort"], *(each["port"] for each in ingress["ports"])} == {port["name"]}
    assert [by_default(each) for each in SERVICE["ports"]] == [f"127.0.0.1:{wanted}:{wanted}"]
    assert "healthcheck" not in SERVICE  # the image has one
    assert f"server 127.0.0.1:{wanted};" in (ROOT / "deploy" / "nginx.conf").read_text()


def test_the_capabilities_are_the_same_everywhere() -> None:
    [table] = re.findall(r"\| capability \| for \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE)
    told = re.findall(r"`([A-Z]+)`", table)
    added = CONTAINER["securityContext"]["capabilities"]["add"]

    assert sorted(told) == added == SERVICE["cap_add"] == docker_run().cap_add


def test_nothing_can_be_written_but_what_the_page_tells() -> None:
    mounts = {each["mountPath"] for each in CONTAINER["volumeMounts"] if not each.get("readOnly")}
    named = {each.split(":")[1] for each in SERVICE["volumes"] if isinstance(each, str)}
    memory = {each.split(":")[0] for each in SERVICE["tmpfs"]}

    assert mounts == set(WRITABLE)
    assert named | memory | {"/dev/shm"} == set(WRITABLE)  # the last is Docker's own, of shm_size
    assert [path for path in WRITABLE if f"`{path}`" not in PAGE] == []
    assert SERVICE["read_only"] is True


def test_the_command_and_the_compose_file_start_the_same() -> None:
    command = docker_run()
    [keys, *_] = SERVICE["volumes"]
    given = {name: value for name, value in SERVICE_ENVIRON.items() if value not in ("", "0")}

    assert pairs(command.env) == given
    assert [command.publish] == [by_default(each) for each in SERVICE["ports"]]
    assert [command.tmpfs] == SERVICE["tmpfs"]
    assert int(command.stop_timeout) == seconds(SERVICE["stop_grace_period"])
    assert f"{command.shm_size}b" == SERVICE["shm_size"]
    assert (command.restart, [command.security_opt]) == (SERVICE["restart"], SERVICE["security_opt"])
    assert ([command.cap_drop], command.read_only) == (SERVICE["cap_drop"], SERVICE["read_only"])
    assert {"driver": command.log_driver, "options": pairs(command.log_opt)} == SERVICE["logging"]
    assert command.mount == [
        f"type=bind,source={by_default(keys['source'])},target={keys['target']},readonly",
        "type=volume,source=vllm-gateway_usage,target=/var/lib/vllm-gateway",
        "type=volume,source=vllm-gateway_cache,target=/var/cache/vllm",
    ]
    assert {"usage:/var/lib/vllm-gateway", "cache:/var/cache/vllm"} < {str(v) for v in SERVICE["volumes"]}


def test_the_page_lists_the_variables_of_the_compose_file() -> None:
    told = PAGE.split("### Compose\n")[1].split("### ")[0]

    assert set(re.findall(r"`([A-Z_]+)`", told)) == COMPOSE_VARIABLES


@pytest.mark.parametrize("block", SHELL, ids=lambda text: " ".join(text.split()[:3]))
def test_what_the_page_has_one_type_is_sound_shell(block: str) -> None:
    assert complaints(block) == ""


def test_every_file_that_is_typed_is_there() -> None:
    typed = set(re.findall(r"\bdeploy/[\w.-]+\w", "".join(SHELL)))

    assert typed
    assert [name for name in sorted(typed) if not (ROOT / name).exists()] == []


def test_every_setting_that_the_page_names_is_one() -> None:
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", PAGE))

    assert named - SETTINGS - COMPOSE_VARIABLES == OTHER_NAMES
