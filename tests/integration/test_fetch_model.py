"""The model's files come from the hub at one commit, by the hub's own client, and nothing else comes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_hub import COMMIT, TOKEN, FakeHub
from tests.local import ROOT

NAME = "maker/model-1"
WANTED: dict[str, bytes | Path] = {
    "config.json": b"{}",
    "model-00001-of-00002.safetensors": b"one" * 10_000,
    "model-00002-of-00002.safetensors": b"two" * 10_000,
    "model.safetensors.index.json": b'{"weight_map": {}}',
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "additional_chat_templates/rag.jinja": b"{{ documents }}",
    "LICENSE": b"Apache License 2.0",
}
OTHERS: dict[str, bytes | Path] = {
    "pytorch_model.bin": b"pickle",
    "original/consolidated.00.pth": b"once more",
    "original/params.json": b"{}",
    "onnx/model.onnx": b"and again",
    "model-Q4_K_M.gguf": b"and again",
    "README.md": b"# A model",
    ".gitattributes": b"*.bin lfs",
}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub(NAME, {**WANTED, **OTHERS}).serving() as running:
        yield running


class Fetch:
    """The program, as the Dockerfile calls it."""

    def __init__(self, hub: FakeHub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder / "model"
        self.home = folder / "home"
        self.home.mkdir()
        self.secret = folder / "hf_token"
        self.secret.write_text(f"{TOKEN}\n")
        # What the base image may set: an own token, and that nobody may be asked.
        foreign = {"HF_TOKEN": "hf_ofTheBase", "HF_HUB_OFFLINE": "1", "HOME": str(self.home)}
        self.environ = {"PATH": os.environ["PATH"], **foreign}
        self.environ |= {"HF_ENDPOINT": hub.url, "HF_TOKEN_PATH": str(self.secret)}

    def __call__(self, name: str = NAME, revision: str = COMMIT) -> "subprocess.CompletedProcess[str]":
        program = (sys.executable, str(ROOT / "launch" / "fetch_model.py"), name, revision, str(self.folder))
        done = subprocess.run(program, env=self.environ, capture_output=True, text=True, timeout=60)
        assert TOKEN not in done.stdout + done.stderr
        return done

    def refused(self, name: str = NAME, revision: str = COMMIT) -> str:
        """What it says when it fails: one sentence."""
        done = self(name, revision)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"fetch_model: {name} at {revision}: ")
        return line

    def there(self) -> set[str]:
        """Every file in the folder, hidden ones too."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def fetch(hub: FakeHub, tmp_path: Path) -> Fetch:
    return Fetch(hub, tmp_path)


def test_what_vllm_loads_is_fetched_as_it_is_and_nothing_else(fetch: Fetch) -> None:
    assert fetch().returncode == 0

    assert fetch.there() == set(WANTED)
    assert all((fetch.folder / name).read_bytes() == content for name, content in WANTED.items())


def test_only_files_of_that_commit_are_asked_for_and_only_those_that_are_kept(fetch: Fetch) -> None:
    fetch()
    asked = [path for _, path, _ in fetch.hub.requests]

    assert all(COMMIT in path for path in asked)
    assert {path.split(f"{COMMIT}/")[1] for path in asked if "/resolve/" in path} == set(WANTED)


def test_the_token_is_the_secrets_and_is_kept_nowhere(fetch: Fetch) -> None:
    fetch()

    assert {token for _, _, token in fetch.hub.requests} == {TOKEN}
    places = [path for place in (fetch.folder, fetch.home) for path in place.rglob("*") if path.is_file()]
    assert [path for path in places if TOKEN.encode() in path.read_bytes()] == []
    assert list(fetch.home.iterdir()) == []


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_without_a_secret_a_model_that_is_for_everybody_is_fetched_without_a_token(
    fetch: Fetch, content: str | None
) -> None:
    fetch.hub.token = None
    fetch.secret.unlink() if content is None else fetch.secret.write_text(content)

    assert fetch().returncode == 0
    assert {token for _, _, token in fetch.hub.requests} == {None}


def test_pickles_are_fetched_where_there_are_no_safetensors(fetch: Fetch) -> None:
    fetch.hub.files = {
        "config.json": b"{}",
        "pytorch_model.bin": b"pickle",
        "training_args.bin": b"not weights",
    }
    fetch()

    assert fetch.there() == {"config.json", "pytorch_model.bin"}


def test_no_revision_leaves_an_empty_folder_and_asks_nobody(fetch: Fetch) -> None:
    assert fetch(revision="none").returncode == 0

    assert fetch.folder.is_dir()
    assert fetch.there() == set()
    assert fetch.hub.requests == []


@pytest.mark.parametrize(
    "revision", ["main", "v1.0", "0123456", "", "f" * 39, "F" * 40, "f" * 41, "refs/pr/1"]
)
def test_what_is_no_commit_is_refused_before_anybody_is_asked(fetch: Fetch, revision: str) -> None:
    assert "is no commit" in fetch.refused(revision=revision)
    assert fetch.hub.requests == []


@pytest.mark.parametrize("name", ["model-1", "../etc", "a/b/c", "gs://bucket/model", "/opt/model"])
def test_what_is_no_name_is_refused_before_anybody_is_asked(fetch: Fetch, name: str) -> None:
    assert "MODEL_NAME is no name" in fetch.refused(name)
    assert fetch.hub.requests == []


def test_a_wrong_token_is_told(fetch: Fetch) -> None:
    fetch.secret.write_text("hf_another")

    assert "the token was refused" in fetch.refused()


def test_a_token_that_is_missing_is_told(fetch: Fetch) -> None:
    fetch.secret.unlink()

    assert "the token is missing: give the build secret hf_token" in fetch.refused()


def test_a_secret_that_is_no_token_is_told_without_showing_it(fetch: Fetch) -> None:
    fetch.secret.write_text("made-up-something-else")

    assert "one begins with hf_" in fetch.refused()
    assert "made-up-something-else" not in fetch.refused()
    assert fetch.hub.requests == []


def test_a_commit_that_the_model_does_not_have_is_told(fetch: Fetch) -> None:
    assert "not this commit of it" in fetch.refused(revision="f" * 40)


def test_a_hub_that_gives_another_commit_is_not_believed(fetch: Fetch) -> None:
    fetch.hub.answers_with = "e" * 40

    assert f"answered with the commit {'e' * 40}" in fetch.refused()
    assert fetch.there() == set()


def test_a_hub_that_does_not_answer_is_told(fetch: Fetch) -> None:
    fetch.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"

    assert "the download failed" in fetch.refused()


def test_a_file_that_is_shorter_than_the_hub_says_is_told(fetch: Fetch) -> None:
    fetch.hub.missing_bytes = 1

    assert "bytes instead of" in fetch.refused()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"config.json": b"{}", "model.gguf": b"x"}, "it has no weights that vLLM loads"),
        ({"config.json": b"{}", "sub/model.safetensors": b"x"}, "it has no weights that vLLM loads"),
        ({"model.safetensors": b"x"}, "it has none of config.json and params.json"),
        ({"config.json": b"{}", "model.safetensors": b""}, "model.safetensors has 0 bytes"),
    ],
)
def test_what_vllm_could_not_load_is_refused(fetch: Fetch, files: dict[str, bytes | Path], told: str) -> None:
    fetch.hub.files = files

    assert told in fetch.refused()
