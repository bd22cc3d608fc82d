"""docs/deploy.md and docs/costs.md, typed from the first block to the last, with stand-ins for Google."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client import Reply
from tests.cloud_reader import Reader
from tests.fake_secret_manager import FakeSecretManagerThread
from tests.fake_vllm import FakeVllmThread
from tests.gateway import KEYS_OF_TESTS, Gateway

PROJECT, MODEL = "your-project-id", "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
BUILD, RUNTIME = (
    f"serviceAccount:vllm-{name}@{PROJECT}.iam.gserviceaccount.com" for name in ("build", "runtime")
)
CARD = {"id": MODEL, "object": "model", "max_model_len": 131072}
MADE = {  # what makes a thing, and what takes it away: each begins with the thing's name
    "iam service-accounts create": "iam service-accounts delete",
    "iam roles create": "iam roles delete",
    "artifacts repositories create": "artifacts repositories delete",
    "secrets create": "secrets delete",
    "storage buckets create": "storage rm --recursive",
    "logging sinks create": "logging sinks delete",
}


class Visit:
    """The reader's whole way, and what there was at its end."""

    def __init__(self, reader: Reader, gateway: Gateway, output: str, smoke: Reply, secrets: Any) -> None:
        self.reader, self.gateway, self.output, self.smoke, self.secrets = (
            reader,
            gateway,
            output,
            smoke,
            secrets,
        )

    def config(self) -> dict[str, Any]:
        return dict(json.loads((self.reader.project / "opencode.json").read_text()))

    def rights(self, member: str) -> set[tuple[str, str]]:
        """Role and place of what an account was given."""
        bindings = [
            each for each in self.reader.called("gcloud") if "add-iam-policy-binding" in each.arguments
        ]
        return {
            (each.option("role"), each.typed.split(" --")[0].replace(" add-iam-policy-binding", ""))
            for each in bindings
            if each.option("member") == member
        }


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    folder = tmp_path_factory.mktemp("guide")
    with FakeSecretManagerThread() as google, FakeVllmThread() as upstream:
        upstream.fake.models = (200, json.dumps({"object": "list", "data": [CARD]}).encode())
        reader = Reader(folder, SECRET_MANAGER_ENDPOINT=google.url)
        reader.start()
        reader.wait_for_deployment()
        place = {"GCP_PROJECT": PROJECT, "SECRET_MANAGER_ENDPOINT": google.url, "API_KEYS_FILE": ""}
        with Gateway(folder, upstream.url, **place) as gateway:
            gateway.wait_ready()
            reader.deploy(f"http://127.0.0.1:{gateway.port}")
            status, output = reader.end()
            assert status == 0, output
            (smoke,) = reader.called("gcloud", "secrets create vllm-smoke-key")
            answer = gateway.request("GET", "/v1/models", headers={"X-API-Key": smoke.given})
            yield Visit(reader, gateway, output, answer, google.fake.versions(PROJECT, "vllm-api-keys"))


def test_every_block_runs_in_order(visit: Visit) -> None:
    assert visit.reader.called("gcloud", "storage rm")  # the last line of the last block


def test_the_project_is_known_before_the_login_that_writes_it_down(visit: Visit) -> None:
    """Secret Manager refuses a login of a user's which names no project to count its requests for."""
    (known,), (login,) = (
        visit.reader.called("gcloud", each)
        for each in ("config set project", "auth application-default login")
    )
    calls = visit.reader.called("gcloud")

    assert calls.index(known) < calls.index(login)


def test_the_doctor_finds_nothing_wrong(visit: Visit) -> None:
    assert visit.output.count("\n0 faults") == 2


def test_the_smoke_test_gets_a_key_that_the_gateway_knows(visit: Visit) -> None:
    assert visit.smoke.status == 200
    assert visit.smoke.json()["data"][0]["id"] == MODEL


def test_requests_are_answered_with_both_pairs_of_headers(visit: Visit) -> None:
    assert visit.output.count(f'"id":"{MODEL}"') + visit.output.count(f'"id": "{MODEL}"') >= 3
    assert "data: [DONE]" in visit.output
    assert '"reloaded":true' in visit.output.replace(" ", "")


def test_the_secret_holds_digests_alone(visit: Visit) -> None:
    entries = [json.loads(version.data) for version in visit.secrets if version.data]

    assert {"my-laptop", "operator", "smoke-test"} == entries[-1].keys()
    assert not any(KEYS_OF_TESTS.search(version.data or b"") for version in visit.secrets)


def test_opencode_is_asked_in_the_project_and_its_file_sends_googles_token(visit: Visit) -> None:
    (asked,) = visit.reader.called("opencode")
    headers = visit.config()["provider"]["vllm-gateway"]["options"]["headers"]

    assert asked.arguments == ["run", "Say hello in one sentence."]
    assert headers["X-Serverless-Authorization"] == "Bearer {env:GATEWAY_IDENTITY_TOKEN}"


def test_no_key_is_an_argument_or_stands_in_the_file(visit: Visit) -> None:
    typed = "\n".join(call.typed for program in ("gcloud", "bq", "make", "opencode")
                      for call in visit.reader.called(program))  # fmt: skip

    assert not KEYS_OF_TESTS.search(f"{typed}{visit.config()}".encode())


def test_what_runs_may_read_one_secret_and_one_bucket(visit: Visit) -> None:
    assert visit.rights(RUNTIME) == {
        ("roles/secretmanager.secretAccessor", "secrets vllm-api-keys"),
        ("roles/storage.objectViewer", f"storage buckets gs://{PROJECT}-vllm-models"),
    }


def test_the_build_may_do_what_it_does_and_no_more(visit: Visit) -> None:
    accounts = "iam service-accounts vllm-{}@" + PROJECT + ".iam.gserviceaccount.com"

    assert visit.rights(BUILD) == {
        ("roles/artifactregistry.writer", "artifacts repositories vllm"),
        ("roles/storage.objectViewer", f"storage buckets gs://{PROJECT}-vllm-sources"),
        ("roles/iam.serviceAccountUser", accounts.format("runtime")),
        ("roles/iam.serviceAccountTokenCreator", accounts.format("build")),  # with IAM in front
        ("roles/run.invoker", "run services vllm-deepseek-r1-1-5b"),  # the same
        ("roles/logging.logWriter", f"projects {PROJECT}"),
        ("roles/run.developer", f"projects {PROJECT}"),
        (f"projects/{PROJECT}/roles/vllmInvokerCheck", f"projects {PROJECT}"),
        ("roles/secretmanager.secretAccessor", "secrets vllm-smoke-key"),
        ("roles/secretmanager.secretAccessor", "secrets hf-token"),
    }


@pytest.mark.parametrize(("making", "taking"), MADE.items())
def test_everything_that_was_made_is_taken_away(visit: Visit, making: str, taking: str) -> None:
    made = {call.typed.removeprefix(making).split()[0] for call in visit.reader.called("gcloud", making)}
    if making == "secrets create":
        made.add("vllm-api-keys")  # by our own tool
    gone = [call.typed.removeprefix(taking) for call in visit.reader.called("gcloud", taking)]

    assert made
    assert made == {name.split("@")[0] for text in gone for name in text.split() if not name.startswith("--")}


def test_every_service_and_right_of_the_project_is_taken_away(visit: Visit) -> None:
    deployed = {
        dict(pair.split("=", 1) for pair in call.option("substitutions").split(","))["_SERVICE"]
        for call in visit.reader.called("gcloud", "builds submit")
    }
    given, taken = (
        {call.option("role") for call in visit.reader.called("gcloud", f"projects {verb}-iam-policy-binding")}
        for verb in ("add", "remove")
    )

    assert {each.arguments[3] for each in visit.reader.called("gcloud", "run services delete")} == deployed
    assert given == taken
    assert [call.typed.split()[-1] for call in visit.reader.called("bq", "rm")] == [f"{PROJECT}:vllm_logs"]


def test_the_revision_before_is_what_a_rollback_names(visit: Visit) -> None:
    (call,) = visit.reader.called("gcloud", "run services update-traffic")

    assert call.option("to-revisions") == "vllm-00001-xyz=100"


def test_a_step_that_fails_ends_the_readers_way(tmp_path: Path) -> None:
    """Else nothing above would show that the blocks work."""
    reader = Reader(tmp_path, SECRET_MANAGER_ENDPOINT="http://127.0.0.1:9")
    reader.start()
    reader.wait_for_deployment()

    status, output = reader.end()

    assert (status, reader.called("gcloud", "builds submit")) == (1, [])
    assert "Secret Manager" in output
