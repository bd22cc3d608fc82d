"""docs/clients.md, run as a person runs it: the blocks of a section in order, in a home of their own."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.client import KEY
from tests.e2e.opencode import MACHINE
from tests.fake_answers import MODEL
from tests.fake_caller import FakeCaller
from tests.fake_vllm import FakeVllmThread
from tests.fenced import Block, read_document
from tests.gateway import Gateway
from tests.local import ROOT

PAGE = ROOT / "docs" / "clients.md"
FIRST = "Other clients"  # the heading whose blocks are run before those of any other
NODE_MODULES = ROOT / "tests/e2e/node_modules"
# npm runs no scripts of packages here, so the program is where its own package has it.
CLAUDE = NODE_MODULES / f"@anthropic-ai/claude-code-linux-{MACHINE}" / "claude"
PROGRAMS = {"python": ("python", "py"), "js": ("node", "mjs")}  # what runs a block, and its file's ending
SECONDS = 120
# That nobody is asked for anything, and nothing beyond this machine is.
UNATTENDED = {
    "TERM": "dumb",
    "NO_COLOR": "1",
    "AIDER_YES_ALWAYS": "true",
    "AIDER_GIT": "false",
    "AIDER_CHECK_UPDATE": "false",
    "AIDER_ANALYTICS_DISABLE": "true",
    "AIDER_SHOW_RELEASE_NOTES": "false",
    "CONTINUE_TELEMETRY_ENABLED": "0",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}


@dataclass(frozen=True)
class Ended:
    """How the blocks of a section ended: a status, and all that was printed, with single spaces."""

    status: int
    output: str


def read_sections() -> dict[str, list[Block]]:
    """The page's blocks by their heading; those that say why no test runs them are left out."""
    text, blocks = read_document(PAGE)
    found: dict[str, list[Block]] = {}
    for block in blocks:
        above = "\n".join(text.split("\n")[: block.line])
        heading = re.findall(r"(?m)^## (.+)", above)[-1:] or [FIRST]
        if not block.reason:
            found.setdefault(heading[0], []).append(block)
    return found


def words_for_a_wrong_key(heading: str) -> str:
    """What the section says that one sees."""
    (told,) = (block.text for block in read_sections()[heading] if block.language == "text")
    return " ".join(told.split())


class Reader:
    """A person at the page, with a gateway in front of a scripted model, and the programs of `binaries`."""

    def __init__(self, gateway: Gateway, fake: FakeCaller, folder: Path, binaries: Path) -> None:
        self.fake = fake
        self.folder = folder
        self._url = f"http://127.0.0.1:{gateway.port}"
        self._path = ":".join(map(str, (CLAUDE.parent, binaries, NODE_MODULES / ".bin", os.environ["PATH"])))
        (folder / "node_modules").symlink_to(NODE_MODULES)

    def follow(self, heading: str, key: str = KEY) -> Ended:
        """Run the blocks of the section; what was asked of the model before is forgotten."""
        self.fake.received.clear()
        sections = read_sections()
        blocks = sections[FIRST] + sections[heading]
        script = ["set -eu", *map(self._step, blocks)]
        ended = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=self.folder,
            env={"PATH": self._path, "HOME": str(self.folder), "API_KEY": key, **UNATTENDED},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        return Ended(ended.returncode, " ".join(ended.stdout.split()))

    def _step(self, block: Block) -> str:
        """The shell's line for a block; files are written, and what is seen needs no line."""
        text = block.text.replace("https://gateway.example", self._url).replace("my-model", MODEL)
        language, _, name = block.language.partition(" ")
        if language == "sh":
            return text
        if language == "text":
            return ""
        program, ending = PROGRAMS.get(language, ("", ""))
        file = self.folder / (name.removeprefix("~/") or f"block-{block.line}.{ending}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return f"{program} {file}" if program else ""

    @property
    def asked(self) -> list[str]:
        """The routes of the model server that the section's blocks have asked for, in their order."""
        return [each.target for each in self.fake.received if each.target != "/health"]


@contextmanager
def gateway_of_callers(folder: Path) -> Iterator[tuple[Gateway, FakeCaller]]:
    """A gateway of one worker in front of a model that calls tools."""
    fake = FakeCaller()
    with FakeVllmThread(fake=fake) as upstream, Gateway(folder, upstream.url, WEB_CONCURRENCY=1) as gateway:
        gateway.wait_ready()
        yield gateway, fake
