"""README, documents, Dockerfile, cloudbuild.yaml, service definition, manifests and entrypoint.sh agree.

A port, a name or a default stands in many of them, and nothing else would notice where one was changed alone.
"""

import re
from collections.abc import Iterator

import pytest
from flask import Flask

from app.health import bp
from app.settings import Settings
from tests import dockerfile
from tests.cloud_files import read_build, service, step, substitutions
from tests.dockerfile import ARGUMENTS, ENVIRON, HEALTH_CHECK, STAGES
from tests.image.container import GATEWAY_UID, VLLM_UID
from tests.local import ROOT
from tests.manifests import CONTAINER, DEPLOYMENT, POD_ENVIRON, SERVICE, SERVICE_ENVIRON

PORT = str(Settings().port)
NUMBER_OF_USER = {"gateway": str(GATEWAY_UID), "vllm": str(VLLM_UID)}
FOLDER_OF_USER = {"gateway": "/var/lib/vllm-gateway", "vllm": "/var/cache/vllm"}


def text(name: str) -> str:
    """One of this checkout's files; in a Dockerfile and a script, lines that go on are one."""
    return re.sub(r"\\\n\s*", " ", (ROOT / name).read_text())


def readme_default(name: str) -> str:
    """The default that the README's table of settings has."""
    return re.findall(rf"^\| `{name}` \| (.*?) \|", text("README.md"), re.MULTILINE)[0]


(CLOUD_RUN,) = service()["spec"]["template"]["spec"]["containers"]
CLOUD_RUN_ENVIRON = {each["name"]: each["value"] for each in CLOUD_RUN["env"]}


def test_the_port_is_the_same_everywhere() -> None:
    ports = {
        "README": readme_default("PORT"),
        "Dockerfile": dockerfile.PORT,
        "cloudrun.yaml": str(CLOUD_RUN["ports"][0]["containerPort"]),
        "kubernetes.yaml": str(CONTAINER["ports"][0]["containerPort"]),
        "compose.yaml": str(SERVICE["ports"][0]).rpartition(":")[2],
    }

    assert set(ports.values()) == {PORT}, ports


@pytest.mark.parametrize("name", ["BASE_IMAGE", "MODEL_NAME", "MODEL_REVISION"])
def test_cloud_build_gives_the_dockerfile_the_defaults_that_it_has(name: str) -> None:
    assert ARGUMENTS[name] == substitutions()[f"_{name}"]


@pytest.mark.parametrize("name", ["build", "test"])
def test_the_dockerfile_takes_what_cloud_build_gives_it(name: str) -> None:
    given = set(re.findall(r'--build-arg "?(\w+)=', step(name)["script"])) - {"BUILDKIT_INLINE_CACHE"}

    assert given <= ARGUMENTS.keys()


def test_the_model_is_the_same_everywhere() -> None:
    names = {
        "README": readme_default("MODEL_NAME"),
        "settings": Settings().model_name,
        "Dockerfile": ARGUMENTS["MODEL_NAME"],
        "cloudbuild.yaml": substitutions()["_MODEL_NAME"],
    }

    assert len(set(names.values())) == 1, names
    assert substitutions()["_MODEL_PATH"] == ENVIRON["MODEL_PATH"]


def test_the_secret_of_the_build_has_one_name() -> None:
    mounted = set(re.findall(r"--mount=type=secret,id=(\w+)", text("Dockerfile")))
    given = set(re.findall(r"--secret 'id=(\w+),", step("build")["script"]))

    assert mounted == given == {"hf_token"}


def test_the_stage_with_the_tests_is_there_and_is_not_the_image() -> None:
    wanted = re.findall(r"--target (\w+)", step("test")["script"])

    assert wanted == ["tests"]
    assert set(wanted) <= set(STAGES[:-1])


def test_the_gateways_programs_are_where_the_others_look_for_them() -> None:
    python = ENVIRON["GATEWAY_PYTHON"]
    folder = python.rpartition("/")[0]

    assert python == "/opt/gateway/bin/python"
    assert f"{folder}/flask --app wsgi doctor" in step("smoke-test")["script"]
    assert python == HEALTH_CHECK[0]


def test_the_image_starts_the_script_of_this_checkout_in_its_folder() -> None:
    assert 'ENTRYPOINT ["/app/entrypoint.sh"]' in text("Dockerfile")
    assert "cd /app" in step("smoke-test")["script"]
    assert (ROOT / "entrypoint.sh").exists()


@pytest.mark.parametrize("user", NUMBER_OF_USER)
def test_a_user_has_its_number_and_its_folder_everywhere(user: str) -> None:
    number, folder = NUMBER_OF_USER[user], FOLDER_OF_USER[user]
    made = re.findall(
        rf"useradd [^&]*--uid (\d+) [^&]*--home-dir (\S+) [^&]*\b{user}\b(?= |$)", text("Dockerfile")
    )

    assert made == [(number, folder)]
    assert ENVIRON[f"{user.upper()}_USER"] == user
    assert f"{user.upper()}_USER" in text("entrypoint.sh")
    assert f"chown {number}:{number} {folder}" in text("deploy/kubernetes.yaml")
    assert folder in {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert folder in {mount.split(":")[1] for mount in SERVICE["volumes"] if isinstance(mount, str)}


def test_usage_is_kept_in_the_gateways_folder() -> None:
    assert ENVIRON["USAGE_DATABASE"].startswith(FOLDER_OF_USER["gateway"] + "/")


def probes() -> Iterator[tuple[str, str]]:
    """Every path that is asked for by something that watches a container, and where that stands."""
    for name, described in {"cloudrun.yaml": CLOUD_RUN, "kubernetes.yaml": CONTAINER}.items():
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            yield f"{name} {kind}", described[kind]["httpGet"]["path"]
    yield "Dockerfile", re.findall(r"/health[/\w]*", HEALTH_CHECK[-1])[0]


def test_whatever_is_asked_is_a_route_and_the_same_for_the_same_question() -> None:
    app = Flask(__name__)
    app.register_blueprint(bp)
    routes = {str(rule) for rule in app.url_map.iter_rules()}
    asked = dict(probes())

    assert set(asked.values()) <= routes, asked
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert asked[f"cloudrun.yaml {kind}"] == asked[f"kubernetes.yaml {kind}"]
    assert asked["Dockerfile"] == asked["kubernetes.yaml livenessProbe"]


def test_whatever_is_set_is_in_the_readme() -> None:
    for name in {*CLOUD_RUN_ENVIRON, *POD_ENVIRON, *SERVICE_ENVIRON}:
        assert readme_default(name), name


def test_vllm_runs_as_many_requests_everywhere() -> None:
    counts = {each["MAX_NUM_SEQS"] for each in (CLOUD_RUN_ENVIRON, POD_ENVIRON, SERVICE_ENVIRON)}

    assert counts == {substitutions()["_MAX_NUM_SEQS"]}


def test_streams_have_their_default_time_on_cloud_run() -> None:
    assert float(CLOUD_RUN_ENVIRON["DRAIN_SECONDS"]) == float(readme_default("DRAIN_SECONDS"))


def documented() -> dict[str, str]:
    """The substitutions in the table of docs/deploy.md, with their defaults."""
    rows = re.findall(r"^\| (`_[A-Z].*?) \| (.*?) \|", text("docs/deploy.md"), re.MULTILINE)
    found: dict[str, str] = {}
    for row in rows:
        names = re.findall(r"`(_[A-Z_]+)`", row[0])
        found.update(zip(names, [""] * len(names) if row[1] == "–" else row[1].split(", "), strict=True))
    return found


def test_every_substitution_is_documented_with_its_default() -> None:
    given = {name: value for name, value in read_build()["substitutions"].items() if name != "_IMAGE"}
    given["_MODEL_REVISION"] = "its pinned commit"

    assert documented() == given


@pytest.mark.parametrize(
    "name", ["vllm-build", "vllm-runtime", "vllm-api-keys", "vllm-smoke-key", "hf-token"]
)
def test_what_has_to_be_made_before_is_in_the_guide_by_its_name(name: str) -> None:
    assert re.search(rf"\b{name}\b", text("cloudbuild.yaml"))
    assert re.search(rf"gcloud [a-z -]*create {name}\b|--secret[= ]{name}\b", text("docs/deploy.md"))


def test_the_labels_are_the_same_everywhere() -> None:
    labels = service()["spec"]["template"]["metadata"]["labels"]
    documents = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    in_kubernetes = DEPLOYMENT["template"]["metadata"]["labels"]

    assert {name: in_kubernetes.get(name) for name in labels} == labels
    assert POD_ENVIRON["LOG_LABELS"] == CLOUD_RUN_ENVIRON["LOG_LABELS"]
    assert all(re.search(rf"\b{name}\b", documents) for name in labels)


def test_the_scripts_that_run_this_use_no_other_port() -> None:
    for name in ("Dockerfile", "deploy/compose.yaml", "deploy/kubernetes.yaml", "deploy/cloudrun.yaml"):
        assert set(re.findall(r"\b80[0-9]{2}\b", text(name))) <= {PORT}, name
