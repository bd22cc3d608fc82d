"""Fill the service definition in from the environment: `python3 deploy/render.py [TEMPLATE] >service.yaml`.

Only the standard library: it runs in Google's image with gcloud as well as in this project's own. Every name
in the template has a rule here. What is missing or breaks its rule is refused in one sentence, before Cloud
Run sees anything; nothing that passes can end a quoted text of the YAML or begin another line of it.
"""

import os
import re
import string
import sys
from collections.abc import Mapping
from pathlib import Path

TEMPLATE = Path(__file__).with_name("cloudrun.yaml")
PROBE_PERIOD_SECONDS = 10
# The gateway ends a request with an event of its own before Cloud Run cuts it without one.
DEADLINE_AHEAD_SECONDS = 10

NUMBER = r"0|[1-9][0-9]{0,5}"
LABEL = (r"[a-z0-9_-]{1,63}", "a label: 1 to 63 small letters, digits, - and _")
WHOLE = (NUMBER, "a whole number")
ACCOUNT = r"[a-z][a-z0-9-]{4,28}[a-z0-9]"
RULES = {
    "SERVICE": (r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?", "a name of 1 to 49 small letters, digits and -"),
    "PROJECT": (ACCOUNT, "the id of a Google Cloud project"),
    "RUNTIME_ACCOUNT": (ACCOUNT, "the part before the @ of a service account"),
    "IMAGE": (r"[a-z0-9][a-z0-9.:/_-]*@sha256:[0-9a-f]{64}", "an image with its digest, as NAME@sha256:…"),
    "INVOKER_IAM_DISABLED": (r"true|false", "true or false"),
    "APPLICATION": LABEL,
    "ENVIRONMENT": LABEL,
    "TEAM": LABEL,
    "COST_CENTER": LABEL,
    "CPU": (r"[1-9][0-9]?", "a whole number of CPUs"),
    "MEMORY": (r"[1-9][0-9]{0,5}[MG]i", "an amount of memory, such as 32Gi"),
    "GPU_TYPE": (r"[a-z0-9-]{1,63}", "a type of GPU, such as nvidia-l4"),
    "MIN_INSTANCES": WHOLE,
    "MAX_INSTANCES": WHOLE,
    "CONCURRENCY": WHOLE,
    "TIMEOUT_SECONDS": WHOLE,
    "STARTUP_SECONDS": WHOLE,
    "MAX_NUM_SEQS": WHOLE,
    "MAX_MODEL_LEN": (r"([1-9][0-9]{0,8})?", "a number of tokens, or nothing"),
    "API_KEYS_SECRET": (r"[A-Za-z0-9_-]{1,255}", "the name of a secret: letters, digits, - and _"),
    "MODEL_NAME": (r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}", "a Hugging Face id such as Qwen/Qwen3-8B"),
    "MODEL_PATH": (r"(/|gs://)[A-Za-z0-9._/-]{1,500}", "a folder in the image, or gs://bucket/folder"),
    "VLLM_EXTRA_ARGS": (r"[ -~]{0,4000}", "one line of printable ASCII"),
}
BOUNDS = {
    "MIN_INSTANCES": (0, 1000),
    "MAX_INSTANCES": (1, 1000),
    "CONCURRENCY": (1, 1000),  # Cloud Run's most
    "MAX_NUM_SEQS": (1, 1000),
    "TIMEOUT_SECONDS": (60, 3600),  # Cloud Run's most
    "STARTUP_SECONDS": (PROBE_PERIOD_SECONDS, 1800),  # Cloud Run's most with a GPU
}


class Refused(Exception):
    """What keeps the definition from being filled in, one sentence a line."""


def render(template: str, environ: Mapping[str, str]) -> str:
    """The definition with its values. Raises Refused."""
    problems = [problem for name in RULES if (problem := _examine(name, environ))]
    if problems := problems or _compare(environ):
        raise Refused("\n".join(problems))
    values = {name: environ[name].replace("'", "''") for name in RULES}  # as YAML quotes a quote
    values["STARTUP_FAILURES"] = str(int(environ["STARTUP_SECONDS"]) // PROBE_PERIOD_SECONDS)
    values["REQUEST_DEADLINE_SECONDS"] = str(int(environ["TIMEOUT_SECONDS"]) - DEADLINE_AHEAD_SECONDS)
    try:
        return string.Template(template).substitute(values)
    except (KeyError, ValueError) as error:
        raise Refused(f"The template has a $ that is no name of a value: {error}.") from None


def _examine(name: str, environ: Mapping[str, str]) -> str:
    """What is wrong with one value by itself."""
    if name not in environ:
        return f"{name} is not set."
    value, (pattern, expected) = environ[name], RULES[name]
    if not re.fullmatch(pattern, value):
        return f"{name}={value[:200]!r} is not valid: expected {expected}."
    lowest, highest = BOUNDS.get(name, (0, 0))
    if highest and not lowest <= int(value) <= highest:
        return f"{name}={value} is not valid: expected {lowest} to {highest}."
    return ""


def _compare(environ: Mapping[str, str]) -> list[str]:
    """What is wrong with values together."""
    number = {name: int(environ[name]) for name in BOUNDS}
    problems = []
    if number["MAX_INSTANCES"] < number["MIN_INSTANCES"]:
        problems.append(
            f"MAX_INSTANCES={number['MAX_INSTANCES']} is below MIN_INSTANCES={number['MIN_INSTANCES']}."
        )
    if number["CONCURRENCY"] < number["MAX_NUM_SEQS"]:
        problems.append(
            f"CONCURRENCY={number['CONCURRENCY']} is below MAX_NUM_SEQS={number['MAX_NUM_SEQS']}, "
            "so the GPU could never be full."
        )
    if number["STARTUP_SECONDS"] % PROBE_PERIOD_SECONDS:
        problems.append(
            f"STARTUP_SECONDS={number['STARTUP_SECONDS']} is no multiple of {PROBE_PERIOD_SECONDS}, "
            "the period of the probe."
        )
    return problems


def main() -> int:
    """Print the definition; status 1 and the reasons where it is refused."""
    template = Path(sys.argv[1]) if len(sys.argv) > 1 else TEMPLATE
    try:
        sys.stdout.write(render(template.read_text(encoding="utf-8"), os.environ))
    except Refused as refused:
        for problem in str(refused).splitlines():
            sys.stderr.write(f"render: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
