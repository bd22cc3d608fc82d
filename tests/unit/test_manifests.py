"""The manifests of Kubernetes are of one piece, and of one with the code and with their page."""

import re
from pathlib import Path
from typing import Any

import pytest

from app import create_app
from app.instance import Instance
from app.keys.file_store import FileStore
from app.metrics.views import all_families
from app.routes import OWN, Access
from app.settings import Settings, load_settings
from tests.image.container import GATEWAY_UID
from tests.manifests import (
    CONTAINER,
    DEPLOYMENT,
    FOLDERS,
    KINDS,
    PAGE,
    POD,
    POD_ENVIRON,
    PROBES,
    load,
    pairs,
    restricted,
    selectors,
)

MODEL_LOAD_SECONDS = 1800  # what the page promises a model


@pytest.mark.parametrize("kind", PROBES)
def test_each_probe_asks_the_open_route_of_its_kind(kind: str) -> None:
    names = {"startup": "startup", "liveness": "live", "readiness": "ready"}
    path = PROBES[kind]["httpGet"]["path"]

    assert path == f"/health/{names[kind]}"
    assert [route.access for route in OWN if route.path == path] == [Access.PUBLIC]


def test_a_model_has_the_time_to_load_that_is_promised() -> None:
    window = PROBES["startup"]["periodSeconds"] * PROBES["startup"]["failureThreshold"]

    assert MODEL_LOAD_SECONDS <= window < DEPLOYMENT["progressDeadlineSeconds"]
    assert "half an hour for a model to load" in PAGE


@pytest.mark.parametrize("kind", PROBES)
def test_the_page_tells_the_numbers_of_each_probe(kind: str) -> None:
    probe = PROBES[kind]
    numbers = f"{probe['failureThreshold']} × {probe['periodSeconds']} s"

    assert f"`{probe['httpGet']['path']}`, {numbers} |" in PAGE


@pytest.mark.parametrize(("who", "labels"), list(selectors()))
def test_whoever_looks_for_the_pods_finds_them(who: str, labels: dict[str, str]) -> None:
    assert labels
    assert labels.items() <= DEPLOYMENT["template"]["metadata"]["labels"].items()


def test_the_pods_are_scaled_by_a_metric_that_the_gateway_exports(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{}")
    app = create_app(Settings(api_keys_file=str(tmp_path / "keys.json")), Instance())
    [metric] = KINDS["HorizontalPodAutoscaler"]["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    [rule] = load("prometheus-adapter.yaml")[0]["rules"]["custom"]

    assert name in {family.name for family in all_families(app)}
    assert (rule["name"]["as"], re.fullmatch(rule["name"]["matches"], name) is not None) == (name, True)
    assert rule["seriesQuery"].startswith(f"{name}{{")


def test_the_next_pod_is_asked_for_before_requests_have_to_wait() -> None:
    scaler = KINDS["HorizontalPodAutoscaler"]["spec"]
    target = int(scaler["metrics"][0]["pods"]["target"]["averageValue"])
    settings = load_settings(POD_ENVIRON)

    assert target < int(POD_ENVIRON["MAX_NUM_SEQS"]) < settings.max_concurrent_requests
    assert f"It wants {target} a pod" in PAGE
    assert f"with threshold {target} and" in PAGE


def test_the_scaler_scales_the_deployment_and_nobody_else_does() -> None:
    reference = KINDS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]

    assert reference == {
        "apiVersion": KINDS["Deployment"]["apiVersion"],
        "kind": "Deployment",
        "name": KINDS["Deployment"]["metadata"]["name"],
    }
    assert "replicas" not in DEPLOYMENT


def test_a_single_pod_can_be_moved() -> None:
    assert KINDS["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert "minAvailable" not in KINDS["PodDisruptionBudget"]["spec"]


@pytest.mark.parametrize("container", [CONTAINER, FOLDERS], ids=lambda each: str(each["name"]))
def test_no_container_may_write_to_its_root_or_gain_rights(container: dict[str, Any]) -> None:
    rights = container["securityContext"]

    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"]["drop"] == ["ALL"]
    assert set(rights["capabilities"]["add"]) <= set(CONTAINER["securityContext"]["capabilities"]["add"])


def test_a_pod_gets_no_token_no_variables_of_its_neighbours_and_no_way_out() -> None:
    policy = KINDS["NetworkPolicy"]["spec"]

    assert POD["automountServiceAccountToken"] is False
    assert KINDS["ServiceAccount"]["automountServiceAccountToken"] is False
    assert POD["serviceAccountName"] == KINDS["ServiceAccount"]["metadata"]["name"]
    assert POD["enableServiceLinks"] is False  # else a service that is called vllm sets VLLM_PORT
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (policy["policyTypes"], policy["egress"]) == (["Ingress", "Egress"], [])


def test_each_mount_has_its_volume_and_each_volume_its_mount() -> None:
    mounted = {each["name"]: each["mountPath"] for each in CONTAINER["volumeMounts"]}

    assert mounted.keys() == {each["name"] for each in POD["volumes"]}
    del mounted["keys"]
    assert {each["name"]: each["mountPath"] for each in FOLDERS["volumeMounts"]} == mounted


def test_the_gateways_user_may_read_the_keys_in_a_pod_and_vllms_may_not() -> None:
    [keys] = [each["secret"] for each in POD["volumes"] if each["name"] == "keys"]
    [mount] = [each for each in CONTAINER["volumeMounts"] if each["name"] == "keys"]

    assert POD["securityContext"]["fsGroup"] == GATEWAY_UID
    assert keys["defaultMode"] == 0o440
    assert POD_ENVIRON["API_KEYS_FILE"].startswith(f"{mount['mountPath']}/")
    assert "subPath" not in mount


def test_both_programs_images_are_the_one_that_the_page_replaces() -> None:
    assert FOLDERS["image"] == CONTAINER["image"]
    assert f'sed "s|{CONTAINER["image"]}|$IMAGE|" deploy/kubernetes.yaml' in PAGE


def test_the_labels_of_the_log_are_those_of_the_pod() -> None:
    labels = dict(DEPLOYMENT["template"]["metadata"]["labels"])
    del labels["app.kubernetes.io/name"]

    assert pairs(POD_ENVIRON["LOG_LABELS"].split(",")) == labels


def test_the_patch_makes_what_the_standard_restricted_asks_for() -> None:
    pod = restricted()["spec"]["template"]["spec"]
    rights = [each["securityContext"] for each in (*pod["initContainers"], *pod["containers"])]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == GATEWAY_UID
    assert len(rights) == 1
    assert rights == [
        {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
    ]
    assert {kind for each in pod["volumes"] for kind in each} == {"name", "secret", "emptyDir"}


def test_a_mounted_secret_is_read_anew_when_the_kubelet_has_replaced_it(tmp_path: Path) -> None:
    for name in ("..first", "..second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys.json").write_text(name)
    (tmp_path / "..data").symlink_to("..first")
    (tmp_path / "keys.json").symlink_to("..data/keys.json")
    store = FileStore(str(tmp_path / "keys.json"))
    before = store.read().data

    (tmp_path / "..data_tmp").symlink_to("..second")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    assert (before, store.read().data) == (b"..first", b"..second")
