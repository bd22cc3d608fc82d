"""Make the schemas of Cloud Run's service and Cloud Build's file anew, from what Google says of them.

python -m pip download --no-deps google-api-python-client
python -m tests.supply.google_schemas google_api_python_client-*.whl

The package holds Google's discovery documents. What is kept here is small: the types that these two files can
reach, without what Google only puts out or says it does not support. Any other field is refused by the tests.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from tests.local import ROOT

FOLDER = ROOT / "tests/samples/google"
DOCUMENTS = "googleapiclient/discovery_cache/documents/"
WANTED = {"run.v1": "Service", "cloudbuild.v1": "Build"}
NOT_WRITTEN = ("Output only", "Not supported by Cloud Run", "[Deprecated]")
# As JSON carries them: a large number may be a text, and a text of digits a number.
BY_FORMAT: dict[str, dict[str, Any]] = {
    "int64": {"type": ["integer", "string"], "pattern": "^[0-9]+$"},
    "google-duration": {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?s$"},
}


def make_schema(document: dict[str, Any], root: str) -> dict[str, Any]:
    """A JSON Schema of one type, with the types that it needs; unknown fields are errors."""
    definitions: dict[str, Any] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name not in definitions:
            definitions[name] = _convert(document["schemas"][name], waiting)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": f"{document['id']}, {document['revision']}; made by tests/supply/google_schemas.py",
        "$ref": f"#/definitions/{root}",
        "definitions": dict(sorted(definitions.items())),
    }


def _convert(node: dict[str, Any], waiting: list[str]) -> dict[str, Any]:
    if "$ref" in node:
        waiting.append(node["$ref"])
        return {"$ref": f"#/definitions/{node['$ref']}"}
    if node.get("format") in BY_FORMAT:
        return BY_FORMAT[node["format"]]
    if node["type"] == "array":
        return {"type": "array", "items": _convert(node["items"], waiting)}
    if node["type"] == "object":
        return _convert_object(node, waiting)
    return {"type": node["type"], **({"enum": node["enum"]} if "enum" in node else {})}


def _convert_object(node: dict[str, Any], waiting: list[str]) -> dict[str, Any]:
    if "additionalProperties" in node:
        return {"type": "object", "additionalProperties": _convert(node["additionalProperties"], waiting)}
    written = {
        name: _convert(each, waiting)
        for name, each in node.get("properties", {}).items()
        if not each.get("readOnly") and not each.get("description", "").startswith(NOT_WRITTEN)
    }
    return {"type": "object", "additionalProperties": False, "properties": written}


def read_annotations(document: dict[str, Any]) -> dict[str, list[str]]:
    """Which kinds of resource take which annotation, as the description of ObjectMeta lists them."""
    text = document["schemas"]["ObjectMeta"]["properties"]["annotations"]["description"]
    found = re.findall(r"\* `([a-z.]+/[A-Za-z-]+)`: ([A-Za-z, ]+)", text)
    return {name: re.findall(r"[A-Za-z]+", kinds) for name, kinds in found}


def main() -> None:
    """Write both schemas, and the table of annotations."""
    FOLDER.mkdir(exist_ok=True)
    with ZipFile(sys.argv[1]) as wheel:
        documents = {name: json.loads(wheel.read(f"{DOCUMENTS}{name}.json")) for name in WANTED}
    made: dict[str, Any] = {name: make_schema(documents[name], root) for name, root in WANTED.items()}
    made["run-annotations"] = read_annotations(documents["run.v1"])
    for name, content in made.items():
        Path(FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
