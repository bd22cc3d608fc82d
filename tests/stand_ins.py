"""Programs that write down how they were called, in the place of those that would reach somebody else."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PATIENCE_SECONDS = 120  # for an answer; after that its caller has gone without a word
# What a stand-in prints, by words among its arguments; nothing where none fit. It waits while that is null.
PROGRAM = f"""#!{sys.executable} -IS
import json, os, sys, time
from pathlib import Path
folder, name, arguments = Path({{folder!r}}), Path(sys.argv[0]).name, sys.argv[1:]
given = sys.stdin.read() if "--data-file=-" in arguments else ""
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([name, arguments, given, dict(os.environ)]) + "\\n")
def answer():
    answers = json.loads((folder / "answers").read_text())
    return next((each for words, each in answers.items() if words in " ".join(arguments)), [0, ""])
until = time.monotonic() + {PATIENCE_SECONDS}
while answer() is None and time.monotonic() < until:
    time.sleep(0.05)
status, text = answer() or [1, ""]
print(text)
sys.exit(status)
"""


@dataclass(frozen=True)
class Call:
    """One call of a stand-in; `given` is what `--data-file=-` read."""

    program: str
    arguments: list[str]
    given: str
    environ: dict[str, str]

    @property
    def typed(self) -> str:
        """The arguments as one text."""
        return " ".join(self.arguments)

    def option(self, name: str) -> str:
        """The value of `--name=value` or `--name value`, or nothing."""
        words = self.typed.replace(f"--{name} ", f"--{name}=").split()
        return next((each.partition("=")[2] for each in words if each.startswith(f"--{name}=")), "")


class StandIns:
    """All that stand in for programs in one test, and what they know; a folder is theirs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "calls").touch()
        self.answer({})

    def put(self, path: Path) -> Path:
        """One more of them, there."""
        return write_program(path, PROGRAM.format(folder=str(self._folder)))

    def answer(self, answers: Mapping[str, tuple[int, str] | None]) -> None:
        """Status and text for calls with these words, in the place of what they knew before."""
        (self._folder / "part").write_text(json.dumps(answers))
        (self._folder / "part").rename(self._folder / "answers")

    def calls(self) -> list[Call]:
        """All of them, in turn."""
        return [Call(*json.loads(line)) for line in (self._folder / "calls").read_text().splitlines()]


def write_program(path: Path, text: str) -> Path:
    """A file that can be run."""
    path.write_text(text)
    path.chmod(0o755)
    return path
