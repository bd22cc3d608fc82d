"""Fetch a model from the Hugging Face hub into a folder, as it is at one commit: for the image's build.

python3 fetch_model.py NAME REVISION FOLDER

It runs by the Python of the base image, alone. REVISION is a commit of 40 hex digits, since a branch's
content changes: the same build would give another image. `none` leaves the folder empty. A token for a model
that asks for one comes from the file /run/secrets/hf_token (a build secret), or the one of HF_TOKEN_PATH.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")
TOKEN = re.compile(r"hf_[0-9A-Za-z_]+")
TOKEN_FILE = "/run/secrets/hf_token"  # noqa: S105  where a build secret is mounted
SAFETENSORS = ".safetensors"
PICKLES = (".bin", ".pt")  # what vLLM loads where there are no safetensors
TEXTS = (".json", ".jinja", ".txt", ".model", ".tiktoken", ".py")
LEGAL = ("LICENSE", "LICENCE", "NOTICE", "USE_POLICY")
CONFIGS = ("config.json", "params.json")
SPARE_BYTES = 1_000_000_000


class FetchFailed(Exception):
    """There is no model to serve; the text says why in one sentence."""


def choose(names: Iterable[str]) -> list[str]:
    """Those of a repository's files that vLLM loads: it looks for weights at the top alone."""
    files = [PurePosixPath(name) for name in names]
    top = [file for file in files if len(file.parts) == 1]
    weights = [file for file in top if file.suffix == SAFETENSORS] or [
        file for file in top if file.suffix in PICKLES and not file.stem.startswith("training_args")
    ]
    other = [file for file in files if file.suffix in TEXTS or file.name.startswith(LEGAL)]
    return sorted(str(file) for file in {*weights, *other} if file.parts[0] != "original")


def check(chosen: Iterable[str]) -> None:
    """Refuse what vLLM could not load."""
    files = {PurePosixPath(name) for name in chosen}
    if not any(file.suffix in (SAFETENSORS, *PICKLES) for file in files):
        raise FetchFailed("it has no weights that vLLM loads from a folder (*.safetensors, *.bin or *.pt).")
    if not any(str(file) in CONFIGS for file in files):
        raise FetchFailed(f"it has none of {' and '.join(CONFIGS)}, so vLLM would not know what it is.")


def read_token(path: str) -> str | None:
    """The build secret, if there is one."""
    try:
        token = Path(path).read_text().strip()
    except FileNotFoundError:
        return None
    if token and not TOKEN.fullmatch(token):
        raise FetchFailed("the build secret hf_token is no token of the hub: one begins with hf_.")
    return token or None


def fetch(name: str, revision: str, folder: Path, token: str | None) -> list[str]:
    """Download what `choose` chooses; returns the names. Nothing but these is in the folder afterwards."""
    # Only here: this file's checks need no hub, nor does `none`.
    from huggingface_hub import HfApi, snapshot_download

    wanted = token or False  # False: also not the one of whoever made the base image
    info = HfApi().model_info(name, revision=revision, token=wanted, files_metadata=True)
    if info.sha != revision:
        raise FetchFailed(f"the hub answered with the commit {info.sha}.")
    siblings = {each.rfilename: each.size for each in info.siblings or ()}
    chosen = choose(siblings)
    check(chosen)
    check_disk(folder, sum(siblings[file] or 0 for file in chosen))
    snapshot_download(name, revision=revision, token=wanted, local_dir=folder, allow_patterns=chosen)
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    for file in chosen:
        check_size(folder / file, siblings[file])
    return chosen


def check_disk(folder: Path, needed: int) -> None:
    """Say so before a download that cannot end well."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise FetchFailed(f"its {needed / 1e9:.1f} GB do not fit on this disk: {free / 1e9:.1f} GB are free.")


def check_size(path: Path, size: int | None) -> None:
    """A file is there, and as long as the hub says."""
    there = path.stat().st_size if path.is_file() else 0
    if there == 0 or (size is not None and there != size):
        raise FetchFailed(f"{path.name} has {there} bytes instead of {size}.")


def explain(error: Exception, *, with_token: bool) -> str:
    """What to do about the hub's answer."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        told = "was refused" if with_token else "is missing: give the build secret hf_token"
        return f"the hub refuses: the token {told}, the name is wrong, or access must be asked for."
    if status == 404:
        return "the hub has no such model, or not this commit of it."
    first = str(error).strip().partition("\n")[0]
    return f"the download failed ({type(error).__name__}: {first})."


def main(arguments: list[str]) -> int:
    """Returns an exit code."""
    if len(arguments) != 3:
        sys.stderr.write(f"{__doc__}")
        return 2
    name, revision, folder = arguments[0], arguments[1], Path(arguments[2])
    try:
        return _main(name, revision, folder)
    except FetchFailed as error:
        sys.stderr.write(f"fetch_model: {name} at {revision}: {error}\n")
    return 1


def _main(name: str, revision: str, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    if revision == "none":
        sys.stdout.write("fetch_model: no weights are baked in; MODEL_PATH leads to them when it runs\n")
        return 0
    if not NAME.fullmatch(name):
        raise FetchFailed("MODEL_NAME is no name of a model on the hub, such as organization/model.")
    if not COMMIT.fullmatch(revision):
        raise FetchFailed(
            "MODEL_REVISION is no commit: 40 hex digits in small letters, or `none` for no weights."
        )
    token = read_token(os.environ.get("HF_TOKEN_PATH", TOKEN_FILE))
    # The client is to be quiet, to tell nobody else that it runs, and not to believe that it is offline.
    os.environ |= dict.fromkeys(("HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_TELEMETRY"), "1")
    os.environ.pop("HF_HUB_OFFLINE", None)
    try:
        files = fetch(name, revision, folder, token)
    except FetchFailed:
        raise
    except Exception as error:  # noqa: BLE001  the client's are those of the HTTP library that it is built on
        raise FetchFailed(explain(error, with_token=token is not None)) from None
    size = sum((folder / file).stat().st_size for file in files)
    sys.stdout.write(f"fetch_model: {name} at {revision}: {len(files)} files, {size / 1e9:.2f} GB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
