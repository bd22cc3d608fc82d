"""cloudbuild.yaml is what Cloud Build knows, and every name in it is one that is there."""

import re
from typing import Any

import pytest

from tests.cloud_files import BUILT_IN, NAME, environ_of, faults, read_build, step, substitutions
from tests.shellcheck import complaints

BUILD = read_build()
STEPS = [each["id"] for each in BUILD["steps"]]
# Everything in which Cloud Build replaces names; a script is left as it is.
REPLACED = {**BUILD, "steps": [{**each, "script": ""} for each in BUILD["steps"]], "substitutions": {}}


def names_in(node: Any) -> set[str]:
    """The names with a $ in any text."""
    if isinstance(node, dict):
        return set().union(*map(names_in, node.values()))
    if isinstance(node, list):
        return set().union(*map(names_in, node))
    return {one or other for one, other in NAME.findall(str(node))} - {""}


def secrets() -> dict[str, str]:
    """The variable of each secret, and the secret's name."""
    return {each["env"]: each["versionName"] for each in BUILD["availableSecrets"]["secretManager"]}


def test_cloud_build_knows_every_field() -> None:
    assert faults("cloudbuild.v1", BUILD) == []


@pytest.mark.parametrize(
    "planted",
    [
        {"availableSecret": {}},
        {"options": {"logging": "CLOUD_LOGGING"}},
        {"options": {"requestVerifyOption": "VERIFIED"}},
        {"timeout": "2h"},
        {"steps": [{"name": "bash", "env": {"A": "b"}}]},
        {"id": "only put out"},
    ],
)
def test_what_cloud_build_does_not_know_is_found(planted: dict[str, Any]) -> None:
    assert len(faults("cloudbuild.v1", {**BUILD, **planted})) == 1


def test_every_name_is_given_and_every_one_given_is_used() -> None:
    used = names_in(REPLACED) | names_in(BUILD["substitutions"])

    assert used - BUILT_IN.keys() == BUILD["substitutions"].keys()


def test_every_substitution_is_text_and_named_as_google_wants_it() -> None:
    for name, value in BUILD["substitutions"].items():
        assert re.fullmatch(r"_[A-Z0-9_]{1,99}", name)
        assert isinstance(value, str)  # a bare 8 would be refused


@pytest.mark.parametrize("name", STEPS)
def test_a_script_is_good_shell_and_sees_each_variable_that_it_uses(name: str) -> None:
    given = [*environ_of(name), *step(name).get("secretEnv", ())]
    shebang, rest = step(name)["script"].split("\n", 1)
    declared = f"{shebang}\n" + "".join(f"read -r {each}\nexport {each}\n" for each in given) + rest

    assert shebang == "#!/usr/bin/env bash"  # without it, it is sh that runs the script
    assert complaints(declared, "--enable=check-unassigned-uppercase") == ""


@pytest.mark.parametrize("name", STEPS)
def test_a_variable_is_there_because_the_script_uses_it(name: str) -> None:
    read_by_programs = {"deploy": environ_of("deploy").keys(), "smoke-test": {"VLLM_API_KEY"}}
    own = {"DOCKER_BUILDKIT", "BUILDX_NO_DEFAULT_ATTESTATIONS"}
    given = {*environ_of(name), *step(name).get("secretEnv", ())} - own - set(read_by_programs.get(name, ()))

    assert {each for each in given if not re.search(rf"\b{each}\b", step(name)["script"])} == set()


@pytest.mark.parametrize("name", STEPS)
def test_a_script_has_no_dollar_for_cloud_build(name: str) -> None:
    script = step(name)["script"]

    assert "$$" not in script
    assert not re.search(r"\$\{?_|\$\{?PROJECT_ID", script)


def test_each_secret_is_used_and_each_one_used_is_there() -> None:
    used = [each for name in STEPS for each in step(name).get("secretEnv", ())]

    assert sorted(used) == sorted(secrets())
    assert all(re.fullmatch(r"projects/\$PROJECT_ID/secrets/\$_[A-Z_]+/versions/latest", each)
               for each in secrets().values())  # fmt: skip


def test_the_steps_are_in_the_order_in_which_a_fault_costs_least() -> None:
    assert STEPS == ["build", "test", "push", "deploy", "smoke-test"]
    assert not any("waitFor" in each or each.get("allowFailure") for each in BUILD["steps"])


def test_provenance_is_asked_for_and_made_of_what_was_deployed() -> None:
    assert BUILD["options"]["requestedVerifyOption"] == "VERIFIED"
    assert "${_IMAGE}:${BUILD_ID}" in BUILD["images"]


def test_the_image_lies_in_the_repository_of_the_region() -> None:
    assert substitutions(_REGION="europe-west1")["_IMAGE"] == (
        "europe-west1-docker.pkg.dev/my-project/vllm/vllm-deepseek-r1-1-5b"
    )


def test_the_build_has_an_account_of_its_own_which_writes_its_log_to_cloud_logging() -> None:
    assert BUILD["serviceAccount"].endswith("/vllm-build@$PROJECT_ID.iam.gserviceaccount.com")
    assert BUILD["options"]["logging"] == "CLOUD_LOGGING_ONLY"
