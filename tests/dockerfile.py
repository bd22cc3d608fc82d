"""The Dockerfile, instruction by instruction."""

import json
import re

from tests.local import ROOT

TEXT = (ROOT / "Dockerfile").read_text()
LINES = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines()
ARGUMENTS = dict(line.removeprefix("ARG ").split("=", 1) for line in LINES if re.match(r"ARG \w+=", line))
STAGES = [line.rpartition(" AS ")[2] for line in LINES if line.startswith("FROM ")]


def stage(name: str) -> list[str]:
    """The lines of a stage."""
    (start,) = (
        i for i, line in enumerate(LINES) if line.startswith("FROM ") and line.endswith(f" AS {name}")
    )
    end = next((i for i in range(start + 1, len(LINES)) if LINES[i].startswith("FROM ")), len(LINES))
    return LINES[start:end]


def after(word: str) -> list[str]:
    """What stands behind an instruction of the image."""
    return [line.removeprefix(f"{word} ") for line in stage("image") if line.startswith(f"{word} ")]


ENVIRON = dict(pair.split("=", 1) for line in after("ENV") for pair in line.split())  # that the image sets
(PORT,) = after("EXPOSE")
(_CHECK,) = after("HEALTHCHECK")
HEALTH_CHECK: list[str] = json.loads(_CHECK.partition(" CMD ")[2])  # a program and its arguments
