"""The files of a deployment to Google Cloud, as Cloud Build and deploy/render.py would read them."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from deploy.render import TEMPLATE, render
from tests.local import ROOT
from tests.yaml_once import read_document

BUILD_FILE = ROOT / "cloudbuild.yaml"
BUILT_IN = {"PROJECT_ID": "my-project", "BUILD_ID": "0b1d", "COMMIT_SHA": ""}
DIGEST = "sha256:" + 64 * "a"
NAME = re.compile(r"\$(?:\$|([A-Z_][A-Z0-9_]*)|\{([A-Z_][A-Z0-9_]*)\})")


def seconds_after_drain() -> float:
    """How long after DRAIN_SECONDS entrypoint.sh may still take, by its own numbers."""
    text = (ROOT / "entrypoint.sh").read_text()
    [limit] = re.findall(r"limit=\$\(\(began \+ drain \+ (\d+)\)\)", text)
    more = re.findall(r"\$\(\(limit \+ (\d+)\)\)", text)
    return (int(limit) + max(map(int, more))) / 100


def read_build() -> dict[str, Any]:
    """cloudbuild.yaml."""
    return read_document(BUILD_FILE.read_text())


def substitute(text: str, values: Mapping[str, str]) -> str:
    """As Cloud Build does it in all but scripts: $NAME, ${NAME}, and $$ for a dollar. Raises KeyError."""
    return NAME.sub(lambda found: values[found[1] or found[2]] if found[1] or found[2] else "$", text)


def substitutions(**changed: str) -> dict[str, str]:
    """The values of a build: the defaults, those that were given, and those that are made of others."""
    given = {**BUILT_IN, **read_build()["substitutions"], **changed}
    return {name: substitute(value, given) for name, value in given.items()}


def step(name: str) -> dict[str, Any]:
    """One step of the build."""
    (found,) = (each for each in read_build()["steps"] if each["id"] == name)
    return dict(found)


def environ_of(name: str, **changed: str) -> dict[str, str]:
    """What a step's script sees, without its secrets."""
    lines = [substitute(line, substitutions(**changed)) for line in step(name).get("env", ())]
    return dict(line.split("=", 1) for line in lines)


def run_step(name: str, folder: Path, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a step's script in a folder, where `bin` holds what stands in for the programs of its image."""
    script = folder / f"{name}.sh"
    script.write_text(step(name)["script"])
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", script], cwd=folder, env={"PATH": path, **environ}, capture_output=True, text=True
    )


def render_environ(**changed: str) -> dict[str, str]:
    """What deploy/render.py sees of a build with the defaults."""
    return {**environ_of("deploy"), "IMAGE": f"{substitutions()['_IMAGE']}@{DIGEST}", **changed}


def service(**changed: str) -> dict[str, Any]:
    """The service definition with the defaults, and what is named here."""
    return read_document(render(TEMPLATE.read_text(), render_environ(**changed)))


def google(name: str) -> Any:
    """What tests/supply/google_schemas.py and gcloud_commands.py took from Google."""
    return json.loads((ROOT / f"tests/samples/google/{name}.json").read_text())


def faults(schema: str, content: Any) -> list[str]:
    """What one of Google's schemas has against it."""
    found = Draft7Validator(google(schema)).iter_errors(content)
    return [f"{'.'.join(map(str, each.absolute_path))}: {each.message}" for each in found]
