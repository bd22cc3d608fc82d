"""What deploy/ and docs/deploy-elsewhere.md say about running the image, in the forms that tests compare."""

import argparse
import re
import shlex
from collections.abc import Iterator
from typing import Any

from tests.fenced import read_blocks
from tests.local import ROOT
from tests.yaml_once import read_documents

DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "deploy-elsewhere.md").read_text()
SHELL = [block.text for block in read_blocks(PAGE) if block.language == "sh"]
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def load(name: str) -> list[Any]:
    """The documents of a file in deploy/."""
    return read_documents((DEPLOY / name).read_text())


KINDS = {each["kind"]: each for each in load("kubernetes.yaml")}
DEPLOYMENT = KINDS["Deployment"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
[CONTAINER] = POD["containers"]
[FOLDERS] = POD["initContainers"]
PROBES = {kind: CONTAINER[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}
POD_ENVIRON = {each["name"]: each["value"] for each in CONTAINER["env"]}

[COMPOSE] = load("compose.yaml")
[SERVICE] = COMPOSE["services"].values()


def by_default(value: object) -> str:
    """What Compose makes of a value when no variable is set."""
    return VARIABLE.sub(r"\2", str(value))


SERVICE_ENVIRON = {name: by_default(value) for name, value in SERVICE["environment"].items()}
COMPOSE_VARIABLES = {name for name, _ in VARIABLE.findall((DEPLOY / "compose.yaml").read_text())}


def docker_run() -> argparse.Namespace:
    """The options of the page's `docker run` that starts the gateway. Another option is an error."""
    [block] = [each for each in SHELL if each.startswith("docker run --detach")]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("name", "gpus", "shm-size", "publish", "stop-timeout", "tmpfs", "cap-drop", "security-opt"):
        parser.add_argument(f"--{name}")
    for name in ("restart", "log-driver"):
        parser.add_argument(f"--{name}")
    for name in ("env", "mount", "cap-add", "log-opt"):
        parser.add_argument(f"--{name}", action="append")
    for name in ("detach", "read-only"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("image")
    return parser.parse_args(shlex.split(block.replace("\\\n", " "))[2:])


def pairs(options: list[str]) -> dict[str, str]:
    """`name=value`, one after the other."""
    return dict(each.split("=", 1) for each in options)


def merged(base: Any, patch: Any) -> Any:
    """A strategic merge as kubectl makes it, as far as the patch in deploy/ needs: lists go by `name`."""
    if isinstance(patch, list):
        names = {each["name"]: each for each in patch}
        gone = {name for name, each in names.items() if each.get("$patch") == "delete"}
        old = [merged(each, names.pop(each["name"], {})) for each in base if each["name"] not in gone]
        return old + [each for name, each in names.items() if name not in gone]
    if not isinstance(patch, dict):
        return patch
    together = {**base, **{name: merged(base.get(name, {}), value) for name, value in patch.items()}}
    return {name: value for name, value in together.items() if value is not None}


def restricted() -> Any:
    """The Deployment with the patch for namespaces that let nothing begin as root."""
    [patch] = load("kubernetes-restricted.yaml")
    return merged(KINDS["Deployment"], patch)


def seconds(duration: str) -> int:
    """Of a time as Compose writes it, in whole seconds."""
    assert duration.endswith("s")
    return int(duration[:-1])


def selectors() -> Iterator[tuple[str, dict[str, str]]]:
    """By which labels each object finds the pods."""
    yield "Deployment", DEPLOYMENT["selector"]["matchLabels"]
    yield "Service", KINDS["Service"]["spec"]["selector"]
    yield "PodDisruptionBudget", KINDS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    yield "NetworkPolicy", KINDS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    for each in POD["topologySpreadConstraints"]:
        yield "topologySpreadConstraints", each["labelSelector"]["matchLabels"]
    for job in load("prometheus-kubernetes.yaml")[0]["scrape_configs"]:
        [discovery] = job["kubernetes_sd_configs"]
        yield job["job_name"], pairs([each["label"] for each in discovery["selectors"]])
