"""docs/opencode.md does what it says: its shell blocks run in order, in one shell; its files load."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client import KEY
from tests.e2e.opencode import OPENCODE
from tests.e2e.opencode_user import Stage, User, static_site
from tests.fenced import Block, as_bash, inline_code, read_document
from tests.local import ROOT

TEXT, BLOCKS = read_document(ROOT / "docs" / "opencode.md")
SHELL = [block for block in BLOCKS if block.language == "sh"]
FILES = [block for block in BLOCKS if block.language == "json"]
CODER, BIG = "Qwen/Qwen3-Coder-30B-A3B-Instruct", "zai-org/GLM-4.5-Air"
OTHER_KEY = "sk-test-of-the-big-gateway"
NOT_RUN = [
    "gcloud run services describe", "npm install --global opencode-ai@1.18.33", "setx VLLM_API_KEY",
    "gcloud storage cp", "opencode auth login https://opencode.example/windows", "gcloud run services proxy",
    'export GATEWAY_IDENTITY_TOKEN="$(gcloud auth print-identity-token)"',
]  # fmt: skip
PROGRAMS = ("opencode ", "flask ", "curl ", "gcloud ", "npm ")


class Guide:
    """Two gateways and a site in the places that the guide names, and a reader who types."""

    def __init__(self, folder: Path, coder: Stage, big: Stage) -> None:
        self.user, self.stages = User(folder), (coder, big)
        self.user.environ |= {"PATH": f"{OPENCODE.parent}:{self.user.environ['PATH']}", "TMPDIR": str(folder)}
        self.places = {
            "https://gateway.example": coder.url,
            "https://big.example": big.url,
            "/path/to/vllm-gateway": str(ROOT),
            "/path/to/keys.json": str(coder.gateway.keys_file),
            "sk-your-key": KEY,
            "sk-your-other-key": OTHER_KEY,
        }

    def here(self, text: str) -> str:
        """The text with the places of this test."""
        for named, place in self.places.items():
            text = text.replace(named, place)
        return text

    def type_all(self) -> tuple[int, str]:
        """Every shell block that can run, in one shell that ends at the first command that fails."""
        with static_site(self.user.project / "site") as site:
            self.places["https://opencode.example"] = site
            typed = [f"echo '== {block.line}'\n{block.text}" for block in SHELL if not block.reason]
            script = self.here("set -euo pipefail\n" + "".join(typed))
            return self.user.run("bash", "--noprofile", "--norc", "-c", script)


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guide]:
    coder = Stage(tmp_path_factory.mktemp("coder"), CODER, 65536)
    with coder, Stage(tmp_path_factory.mktemp("big"), BIG, 131072, big=OTHER_KEY) as big:
        yield Guide(tmp_path_factory.mktemp("reader"), coder, big)


@pytest.fixture(scope="module")
def printed(guide: Guide) -> dict[int, str]:
    """What each block printed; all of them have ended well."""
    status, output = guide.type_all()
    assert status == 0, output
    parts = [part.split("\n", 1) for part in output.split("== ")[1:]]
    return {int(line): text for line, text in parts}


def block_with(text: str) -> int:
    """The line of the one shell block with this text."""
    (line,) = (block.line for block in SHELL if text in block.text)
    return line


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {block.language for block in BLOCKS} == {"sh", "powershell", "json"}
    assert not [line for line in TEXT.split("\n") if line.startswith(("    ", "\t"))
                and line not in "".join(block.text for block in BLOCKS)]  # fmt: skip


def test_only_what_cannot_run_here_is_not_run() -> None:
    unrun = [block for block in BLOCKS if block.reason]

    assert len(unrun) == len(NOT_RUN)
    for block, beginning in zip(unrun, NOT_RUN, strict=True):
        assert block.text.split("\n")[1].startswith(beginning)


def test_the_version_to_install_is_the_one_that_is_tried() -> None:
    wanted = json.loads((ROOT / "tests/e2e/package.json").read_text())["dependencies"]["opencode-ai"]

    assert f"opencode-ai@{wanted}" in TEXT
    assert f"OpenCode {wanted}" in TEXT


def test_powershell_types_what_bash_types() -> None:
    """Not run: PowerShell is not on this machine."""
    twins = [(BLOCKS[n - 1], block) for n, block in enumerate(BLOCKS) if block.language == "powershell"]
    compared = [(shell, block) for shell, block in twins if not block.reason]

    assert len(compared) == 4
    for shell, block in compared:
        assert (shell.language, as_bash(block.text)) == ("sh", shell.text)


def test_a_command_within_a_sentence_is_one_of_a_block() -> None:
    typed = "\n".join(block.text for block in BLOCKS)
    within = {code for code in inline_code(TEXT) if code.startswith(PROGRAMS)}

    assert within
    assert {code for code in within if code not in typed} == {"opencode debug config"}


def test_the_blocks_run_in_order(printed: dict[int, str]) -> None:
    assert len(printed) == len([block for block in SHELL if not block.reason])


def test_the_checks_show_models_and_an_answer(printed: dict[int, str]) -> None:
    listed = json.loads(printed[block_with("/v1/models")])
    check, several = printed[block_with("opencode models vllm-gateway")], printed[block_with("models big")]

    assert listed["data"][0]["id"] == CODER
    assert f"vllm-gateway/{CODER}\n" in check
    assert f"big/{BIG}\n" in several
    for output in (check, several):
        assert "The capital of France is" in output


def test_the_doctor_finds_nothing_wrong(printed: dict[int, str]) -> None:
    assert "\n0 faults" in printed[block_with("wsgi doctor")]


def test_a_login_and_its_end(printed: dict[int, str]) -> None:
    login = printed[block_with("opencode auth login https://opencode.example\n")]

    assert "Logged into" in login
    assert "The capital of France is" in login
    assert "Logout successful" in printed[block_with("auth logout")]


def test_both_keys_work_while_one_follows_the_other(printed: dict[int, str]) -> None:
    rotation = printed[block_with("keys rotate")]

    assert '"reloaded":true' in rotation.replace(" ", "")
    assert rotation.count("The capital of France is") == 2


@pytest.mark.parametrize("block", FILES, ids=lambda block: f"line {block.line}")
def test_a_file_is_read_as_the_guide_says(guide: Guide, tmp_path: Path, block: Block) -> None:
    """Loaded by the real OpenCode; what it then asks for is what the file says."""
    user = User(tmp_path, VLLM_API_KEY=KEY, VLLM_API_KEY_BIG=OTHER_KEY)
    config: dict[str, Any] = json.loads(guide.here(block.text))
    user.write_config(config)

    _, listed = user.opencode("models")
    status, said = user.opencode("run", "Say hello")

    assert {f"{name}/{model}" for name, each in config["provider"].items() for model in each["models"]} == {
        line for line in listed.split() if not line.startswith("opencode/")
    }
    assert (status, "The capital of France is" in said) == (0, True), said
    for each in config["provider"].values():  # what else stands there has no effect
        assert set(each["options"]) <= {"baseURL", "apiKey", "headers"}
    provider, model = config["model"].split("/", 1)
    settings = config["provider"][provider]["models"][model]
    agent = config.get("agent", {}).get("build", {})
    wanted = {"model": model, "max_tokens": settings["limit"]["output"], **settings.get("options", {})}
    if "temperature" in agent:
        wanted["temperature"] = agent["temperature"]
    body = guide.stages[provider == "big"].asked()[-1]
    assert {name: body.get(name) for name in wanted} == wanted
    tools = {tool["function"]["name"] for tool in body["tools"]}
    assert not tools & set(config.get("permission", {}))
    assert body["messages"][0]["content"].startswith(agent.get("prompt", ""))


def test_the_merged_configuration_does_not_show_the_key(guide: Guide, tmp_path: Path) -> None:
    user = User(tmp_path, VLLM_API_KEY=KEY)
    user.write_config(json.loads(guide.here(FILES[0].text)))

    _, shown = user.opencode("debug", "config")

    assert f"{guide.stages[0].url}/v1" in shown
    assert '"apiKey": "***"' in shown
    assert KEY not in shown


def test_a_project_of_somebody_else_is_not_listened_to(guide: Guide, tmp_path: Path) -> None:
    user = User(tmp_path, VLLM_API_KEY=KEY, OPENCODE_DISABLE_PROJECT_CONFIG="1")
    user.write_config(json.loads(guide.here(FILES[0].text)))

    assert "vllm-gateway" not in user.opencode("models")[1]


def test_the_options_are_written_where_the_guide_says(guide: Guide, printed: dict[int, str]) -> None:
    wanted = {
        "temperature": 0.6,
        "top_p": 0.95,
        "top_k": 20,
        "chat_template_kwargs": {"enable_thinking": False},
    }

    config = json.loads((guide.user.project / "opencode.json").read_text())

    assert config["provider"]["vllm-gateway"]["models"][CODER]["options"] == wanted
