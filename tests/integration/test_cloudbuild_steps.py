"""The scripts of cloudbuild.yaml, run with stand-ins for docker, gcloud and the doctor."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.cloud_files import (
    BUILT_IN,
    DIGEST,
    environ_of,
    read_build,
    run_step,
    step,
    substitute,
    substitutions,
)
from tests.local import ROOT
from tests.stand_ins import StandIns

IMAGE = substitutions()["_IMAGE"]
URL = "https://vllm.example"


class Place:
    """A folder in the place of /workspace, with programs that write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stand_ins = StandIns(folder / "stand-ins")
        self.answer, self.put = self._stand_ins.answer, self._stand_ins.put
        (folder / "bin").mkdir()
        (folder / "deploy").symlink_to(ROOT / "deploy")

    def write(self, **files: str) -> None:
        """What earlier steps left."""
        for name, text in files.items():
            (self.folder / f"{name}.txt").write_text(text)

    def read(self, name: str) -> str:
        """What the step left."""
        return (self.folder / name).read_text()

    def calls(self) -> list[list[str]]:
        """All calls, in turn."""
        return [[each.program, *each.arguments] for each in self._stand_ins.calls()]

    def seen(self) -> dict[str, str]:
        """The environment of the last call."""
        return self._stand_ins.calls()[-1].environ


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.put(tmp_path / "bin/docker")
    made.put(tmp_path / "bin/gcloud")
    return made


def build(place: Place, token: str) -> list[str]:
    """The one call of docker that the build step makes."""
    ran = run_step("build", place.folder, {**environ_of("build"), "HF_TOKEN": token})
    assert (ran.returncode, ran.stderr) == (0, "")
    (call,) = place.calls()
    return call


def options(call: list[str], name: str) -> list[str]:
    """The values of one option."""
    return [value for option, value in zip(call, call[1:], strict=False) if option == name]


@pytest.mark.parametrize("token", ["none", "", "none\n", " "])
def test_a_word_that_is_no_token_is_not_sent(place: Place, token: str) -> None:
    assert "--secret" not in build(place, token)
    assert "HF_TOKEN" not in place.seen()


@pytest.mark.parametrize("token", ["hf_made_up", "hf_made_up\n"])
def test_a_token_goes_to_buildkit_by_the_environment_and_in_no_argument(place: Place, token: str) -> None:
    call = build(place, token)

    assert options(call, "--secret") == ["id=hf_token,env=HF_TOKEN"]
    assert place.seen()["HF_TOKEN"] == "hf_made_up"
    assert place.seen()["DOCKER_BUILDKIT"] == "1"
    assert not any("hf_made_up" in part for part in call)


def test_every_image_that_is_pushed_at_the_end_was_built(place: Place) -> None:
    pushed = {substitute(name, substitutions()) for name in read_build()["images"]}

    assert set(options(build(place, "none"), "--tag")) == pushed


def test_the_tests_stand_on_the_layers_that_were_built(place: Place) -> None:
    built = options(build(place, "none"), "--build-arg")
    run_step("test", place.folder, environ_of("test"))
    call = place.calls()[-1]

    assert options(call, "--target") == ["tests"]
    assert [*options(call, "--build-arg"), "REVISION=unknown"] == built
    assert options(call, "--secret") == []


@pytest.mark.parametrize("name", ["build", "test"])
def test_a_build_that_fails_ends_its_step(place: Place, name: str) -> None:
    place.answer({"build": (3, "")})

    assert run_step(name, place.folder, {**environ_of(name), "HF_TOKEN": "none"}).returncode == 3


def test_the_digest_is_that_of_this_repository(place: Place) -> None:
    place.answer({"image inspect": (0, f"other.example/x@sha256:0\n{IMAGE}@{DIGEST}\n")})
    ran = run_step("push", place.folder, environ_of("push"))

    assert ran.returncode == 0
    assert place.read("image.txt") == f"{IMAGE}@{DIGEST}\n"
    assert place.calls()[0] == ["docker", "push", f"{IMAGE}:{BUILT_IN['BUILD_ID']}"]


def test_an_image_without_a_digest_ends_the_build(place: Place) -> None:
    place.answer({"image inspect": (0, "other.example/x@sha256:0\n")})

    assert run_step("push", place.folder, environ_of("push")).returncode != 0


def deploy(place: Place, **changed: str) -> "subprocess.CompletedProcess[str]":
    """Deploy what was pushed."""
    place.write(image=f"{IMAGE}@{DIGEST}\n")
    place.answer(
        {
            "services list": (0, "vllm-00007-abc"),
            "services describe": (0, URL),
            "print-identity-token": (0, "made-up-token"),
        }
    )
    return run_step("deploy", place.folder, environ_of("deploy", **changed))


def test_what_is_deployed_is_the_definition_with_the_digest(place: Place) -> None:
    assert deploy(place).returncode == 0
    definition = yaml.safe_load(place.read("service.yaml"))
    (container,) = definition["spec"]["template"]["spec"]["containers"]

    assert container["image"] == f"{IMAGE}@{DIGEST}"
    assert ["gcloud", "run", "services", "replace", "service.yaml", "--region=us-central1"] in place.calls()
    assert place.seen()["CLOUDSDK_CORE_PROJECT"] == "my-project"


def test_what_served_before_is_asked_for_before_it_is_replaced(place: Place) -> None:
    deploy(place)

    assert [call[3] for call in place.calls()] == ["list", "replace", "describe"]
    assert place.read("previous.txt") == "vllm-00007-abc\n"
    assert place.read("url.txt") == f"{URL}\n"
    assert place.read("identity-token.txt") == ""


def test_with_iam_in_front_the_smoke_test_gets_an_identity(place: Place) -> None:
    deploy(place, _INVOKER_IAM_DISABLED="false")

    assert place.calls()[-1][1:4] == ["auth", "print-identity-token", f"--audiences={URL}"]
    assert place.read("identity-token.txt") == "made-up-token\n"


def test_what_the_renderer_refuses_is_never_deployed(place: Place) -> None:
    ran = deploy(place, _CONCURRENCY="4")

    assert ran.returncode != 0
    assert "CONCURRENCY=4 is below MAX_NUM_SEQS=32" in ran.stderr
    assert place.calls() == []


def smoke(place: Place, status: int, previous: str) -> "subprocess.CompletedProcess[str]":
    """Ask what was deployed, with the folder in the place of the image's own."""
    place.write(**{"url": f"{URL}\n", "previous": previous, "identity-token": ""})
    place.answer({"doctor": (status, "")})
    doctor = place.put(place.folder / "flask")
    script = step("smoke-test")["script"]
    assert {"/app", "/opt/gateway/bin/flask"} <= set(script.replace(" && ", " ").split())
    changed = script.replace("/opt/gateway/bin/flask", str(doctor)).replace("/app", "/")
    environ = {
        **environ_of("smoke-test"),
        "VLLM_API_KEY": "made-up-key",
        "PATH": "/usr/bin:/bin",
    }
    return subprocess.run(
        ["bash", "-c", changed], cwd=place.folder, env=environ, capture_output=True, text=True
    )


def test_a_service_that_answers_ends_the_build_with_its_address(place: Place) -> None:
    ran = smoke(place, 0, "")

    assert ran.returncode == 0
    assert ran.stdout.endswith(f"answers at {URL}\n")
    asked = ["flask", "--app", "wsgi", "doctor", "--url", URL, "--wait", "600", "--accept", "tools_as_text"]
    assert place.calls() == [asked]
    assert place.seen()["VLLM_API_KEY"] == "made-up-key"  # pragma: allowlist secret


def test_a_failed_smoke_test_fails_the_build_and_says_the_way_back(place: Place) -> None:
    ran = smoke(place, 1, "vllm-00007-abc\n")

    assert ran.returncode == 1
    assert "gcloud run services update-traffic vllm-deepseek-r1-1-5b --region=us-central1" in ran.stdout
    assert "--to-revisions=vllm-00007-abc=100" in ran.stdout


def test_the_first_time_there_is_nothing_to_go_back_to(place: Place) -> None:
    ran = smoke(place, 1, "\n")

    assert ran.returncode == 1
    assert "gcloud run services delete vllm-deepseek-r1-1-5b --region=us-central1" in ran.stdout
    assert "update-traffic" not in ran.stdout
