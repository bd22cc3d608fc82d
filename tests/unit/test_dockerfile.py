"""The Dockerfile agrees with the code, the locks, and the way in which tests and manifests run the image."""

import re

from app.settings import Settings
from app.version import VERSION
from launch.fetch_model import COMMIT
from launch.models import GPU_DEFAULT
from tests.dockerfile import ARGUMENTS, HEALTH_CHECK, LINES, PORT, after, stage
from tests.image.container import CAPABILITIES, GATEWAY_UID, VLLM_UID
from tests.local import ROOT
from tests.manifests import CONTAINER


def test_it_is_built_on_the_vllm_that_is_locked_for_machines_with_a_gpu() -> None:
    (locked,) = re.findall(r"^vllm==(\S+)", (ROOT / "requirements-vllm-gpu.txt").read_text(), re.MULTILINE)

    assert ARGUMENTS["BASE_IMAGE"].startswith(f"vllm/vllm-openai:v{locked}-cu129")


def test_the_model_that_is_baked_in_is_the_default_one_at_a_commit() -> None:
    assert ARGUMENTS["MODEL_NAME"] == GPU_DEFAULT
    assert COMMIT.fullmatch(ARGUMENTS["MODEL_REVISION"])


def test_its_version_is_that_of_the_code() -> None:
    assert ARGUMENTS["VERSION"] == VERSION


def test_the_last_stage_is_the_image_and_takes_nothing_from_the_tests() -> None:
    assert stage("image")[-1] == LINES[-1]
    sources = {re.findall(r"--from=(\w+)", line)[0] for line in stage("image") if line.startswith("COPY")}
    assert sources == {"weights", "gateway", "code"}
    assert not any(" tests" in line for line in (*stage("weights"), *stage("gateway"), *stage("code")))


def test_what_changes_least_is_copied_first() -> None:
    copied = [line.split()[-1] for line in stage("image") if line.startswith("COPY")]

    assert copied == ["/opt/model", "/opt/gateway", "/app"]


def test_every_package_is_installed_by_its_digest() -> None:
    installing = [line for line in LINES if "pip " in line and " install " in line]

    assert len(installing) == 2
    assert all("--require-hashes --no-deps --only-binary :all: -r " in line for line in installing)


def test_its_port_is_the_gateways_own_and_its_health_check_asks_whether_the_gateway_is_alive() -> None:
    assert str(Settings().port) == PORT
    assert f"os.environ.get('PORT') or {Settings().port}" in HEALTH_CHECK[-1]
    assert "'/health/live'" in HEALTH_CHECK[-1]


def test_its_users_are_those_that_the_tests_expect() -> None:
    made = {
        name: int(uid)
        for uid, name in re.findall(r"useradd --uid (\d+).*? (\w+) *&&", " ".join(after("RUN")))
    }

    assert made == {"gateway": GATEWAY_UID, "vllm": VLLM_UID}


def test_a_pod_gets_the_rights_that_the_image_was_tried_with() -> None:
    granted = CONTAINER["securityContext"]["capabilities"]

    assert granted["drop"] == ["ALL"]
    assert {f"CAP_{right}" for right in granted["add"]} == set(CAPABILITIES)
