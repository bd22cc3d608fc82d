"""Write down the flags of gcloud commands: `python -m tests.supply.gcloud_commands COMMAND…`.

Each COMMAND is like "run services replace". They are added to the table, which is made anew from the
installed gcloud: from its own list for the shell, which Google makes of the commands themselves.
"""

import json
import runpy
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.local import ROOT

TABLE = ROOT / "tests/samples/google/gcloud.json"
TREE = "data/cli/gcloud_completions.py"


def flags_of(tree: dict[str, Any], words: Sequence[str]) -> dict[str, str]:
    """Flags that a command takes: `value` where one follows, `bool` where none does. Raises KeyError."""
    flags = {name: _kind(kind) for name, kind in tree["flags"].items()}
    if not words:
        return flags
    return flags | flags_of(tree["commands"][words[0]], words[1:])


def _kind(kind: Any) -> str:
    return "bool" if kind == "bool" else "value"  # or a list of what may follow


def main() -> None:
    """Write the table."""
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {"commands": {}}
    names = sorted({*table["commands"], *sys.argv[1:]})
    folder = Path(shutil.which("gcloud") or sys.exit("gcloud is not installed")).resolve().parent.parent
    tree = runpy.run_path(str(folder / TREE))["STATIC_COMPLETION_CLI_TREE"]
    made = {
        "source": "https://docs.cloud.google.com/sdk/gcloud/reference",
        "version": (folder / "VERSION").read_text().strip(),
        "everywhere": dict(sorted(flags_of(tree, ()).items())),
        "commands": {name: dict(sorted(_own(tree, name.split()).items())) for name in names},
    }
    TABLE.write_text(json.dumps(made, indent=1) + "\n")


def _own(tree: dict[str, Any], words: Sequence[str]) -> dict[str, str]:
    everywhere = flags_of(tree, ())
    return {name: kind for name, kind in flags_of(tree, words).items() if name not in everywhere}


if __name__ == "__main__":
    main()
