"""The service definition is one that Cloud Run knows, and its numbers fit the gateway's."""

import copy
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.health import bp
from app.settings import Settings, load_settings
from tests.cloud_files import faults, google, render_environ, seconds_after_drain, service

SERVICE = service()
TEMPLATE = SERVICE["spec"]["template"]
SPEC = TEMPLATE["spec"]
(CONTAINER,) = SPEC["containers"]
ENVIRON = {each["name"]: each["value"] for each in CONTAINER["env"]}
PROBES = {kind: CONTAINER[kind] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
PATHS = {
    "startupProbe": "/health/startup",
    "livenessProbe": "/health/live",
    "readinessProbe": "/health/ready",
}
LABELS = {
    "application": "vllm-inference",
    "environment": "production",
    "team": "ml-platform",
    "cost-center": "engineering",
}
YES_NO = ("true", "false")
# What each annotation may say; https://docs.cloud.google.com/run/docs/ and the page that is named.
ANNOTATIONS = {
    # securing/ingress
    "run.googleapis.com/ingress": ("all", "internal", "internal-and-cloud-load-balancing"),
    "run.googleapis.com/launch-stage": ("BETA",),  # troubleshooting: a preview wants it
    "run.googleapis.com/invoker-iam-disabled": YES_NO,  # authenticating/public
    "autoscaling.knative.dev/minScale": tuple(map(str, range(1001))),  # configuring/min-instances
    "autoscaling.knative.dev/maxScale": tuple(map(str, range(1, 1001))),  # configuring/max-instances
    "run.googleapis.com/cpu-throttling": ("false",),  # configuring/services/gpu: a GPU takes no other
    "run.googleapis.com/startup-cpu-boost": YES_NO,  # configuring/services/cpu
    "run.googleapis.com/gpu-zonal-redundancy-disabled": YES_NO,  # configuring/services/gpu-zonal-redundancy
    "run.googleapis.com/execution-environment": ("gen2",),  # about-execution-environments
    "run.googleapis.com/sessionAffinity": YES_NO,  # configuring/session-affinity
}
MOST_OF_A_STARTUP_PROBE = {
    "initialDelaySeconds": 240,
    "periodSeconds": 240,
}  # reference/rest/v1/Container#Probe
LONGEST_START_SECONDS = 1800  # with a GPU: configuring/jobs/healthchecks
KILLED_AFTER_SECONDS = 10  # SIGTERM, then SIGKILL: container-contract


def test_cloud_run_knows_every_field() -> None:
    assert faults("run.v1", SERVICE) == []


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ((), "metdata", {}),
        (("spec", "template", "spec"), "concurrency", 40),
        (("spec", "template", "spec", "containers", 0), "readynessProbe", {}),
        (("spec", "template", "spec", "containers", 0), "securityContext", {}),  # known, and not supported
        (("spec", "template", "spec", "containers", 0, "startupProbe"), "exec", {}),
        (("spec", "template", "spec", "containers", 0, "resources"), "limit", {}),
        (("spec", "template", "spec"), "timeoutSeconds", "3600"),
        (("spec", "template", "metadata", "labels"), "team", 7),
    ],
)
def test_what_cloud_run_does_not_know_is_found(place: tuple[Any, ...], name: str, value: Any) -> None:
    node = changed = copy.deepcopy(SERVICE)
    for each in place:
        node = node[each]
    node[name] = value

    assert len(faults("run.v1", changed)) == 1


@pytest.mark.parametrize(
    ("kind", "annotations"),
    [
        ("Service", SERVICE["metadata"]["annotations"]),
        ("Revision", TEMPLATE["metadata"]["annotations"]),
    ],
)
def test_each_annotation_stands_where_it_counts_and_says_what_it_may(
    kind: str, annotations: dict[str, str]
) -> None:
    for name, value in annotations.items():
        assert kind in google("run-annotations")[name]
        assert value in ANNOTATIONS[name]


def test_the_readiness_probe_is_asked_for_as_a_preview() -> None:
    assert SERVICE["metadata"]["annotations"]["run.googleapis.com/launch-stage"] == "BETA"
    assert "readinessProbe" in CONTAINER


def test_labels_are_where_billing_reads_them_and_in_the_log() -> None:
    assert SERVICE["metadata"]["labels"] == TEMPLATE["metadata"]["labels"] == LABELS
    assert dict(pair.split("=") for pair in ENVIRON["LOG_LABELS"].split(",")) == LABELS


@pytest.mark.parametrize("kind", PROBES)
def test_a_probe_asks_for_a_route_that_everybody_may_ask(kind: str) -> None:
    app = Flask(__name__)
    app.register_blueprint(bp)
    path = PROBES[kind]["httpGet"]["path"]

    assert path in {str(rule) for rule in app.url_map.iter_rules()}
    assert path == PATHS[kind]


@pytest.mark.parametrize("kind", PROBES)
def test_a_probe_asks_at_the_port_and_has_time_for_an_answer(kind: str) -> None:
    probe = PROBES[kind]

    assert [port["containerPort"] for port in CONTAINER["ports"]] == [probe["httpGet"]["port"]]
    assert 5 <= probe["timeoutSeconds"] <= probe["periodSeconds"]


@pytest.mark.parametrize("seconds", ["10", "600", "1800"])
def test_the_startup_probe_allows_what_was_asked_for_within_googles_limits(seconds: str) -> None:
    (container,) = service(STARTUP_SECONDS=seconds)["spec"]["template"]["spec"]["containers"]
    probe = container["startupProbe"]

    assert probe["failureThreshold"] * probe["periodSeconds"] == int(seconds) <= LONGEST_START_SECONDS
    assert all(probe.get(name, 0) <= most for name, most in MOST_OF_A_STARTUP_PROBE.items())


def test_a_liveness_kill_takes_minutes_of_silence() -> None:
    probe = PROBES["livenessProbe"]

    assert probe["failureThreshold"] * probe["periodSeconds"] >= 120


def test_the_end_fits_into_the_time_that_cloud_run_gives() -> None:
    assert float(ENVIRON["DRAIN_SECONDS"]) + seconds_after_drain() < KILLED_AFTER_SECONDS


@pytest.mark.parametrize("seconds", ["60", "3600"])
def test_the_gateway_ends_a_request_before_cloud_run_cuts_it(seconds: str) -> None:
    spec = service(TIMEOUT_SECONDS=seconds)["spec"]["template"]["spec"]
    (deadline,) = (
        each for each in spec["containers"][0]["env"] if each["name"] == "REQUEST_DEADLINE_SECONDS"
    )

    assert spec["timeoutSeconds"] == int(seconds)
    assert 0 < int(deadline["value"]) < int(seconds)


def test_a_gpu_can_be_full_and_cloud_run_sees_when_it_is() -> None:
    assert int(ENVIRON["MAX_NUM_SEQS"]) <= SPEC["containerConcurrency"] <= 2 * int(ENVIRON["MAX_NUM_SEQS"])


def test_one_l4_with_what_it_wants_beside_it() -> None:
    limits = CONTAINER["resources"]["limits"]

    assert SPEC["nodeSelector"] == {"run.googleapis.com/accelerator": "nvidia-l4"}
    assert limits["nvidia.com/gpu"] == "1"
    assert int(limits["cpu"]) >= 4  # configuring/services/gpu: the least beside an L4
    assert int(limits["memory"].removesuffix("Gi")) >= 16


def test_every_variable_is_a_setting_that_the_gateway_takes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")  # an empty folder is a mount that is missing
    names = set(Settings.__struct_encode_fields__)
    settings = load_settings({**ENVIRON, "MODEL_PATH": str(tmp_path)})

    assert ENVIRON.keys() <= names
    assert settings.gcp_project == render_environ()["PROJECT"]
    assert settings.trusted_proxy_hops == 1
    assert settings.usage_database == "off"  # what is written to a file is memory of this instance


def test_no_secret_is_mounted_or_in_the_environment() -> None:
    assert "volumes" not in SPEC
    assert all(set(each) == {"name", "value"} for each in CONTAINER["env"])


def test_the_image_is_named_by_its_digest() -> None:
    assert "@sha256:" in CONTAINER["image"]


def test_all_traffic_goes_to_the_newest_revision() -> None:
    assert SERVICE["spec"]["traffic"] == [{"latestRevision": True, "percent": 100}]
