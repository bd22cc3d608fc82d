"""What is in the image, without running it."""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launch.models import CPU_DEFAULT
from tests.fake_hub import COMMIT
from tests.image.base import make_base
from tests.image.build import NOT_FOR_VLLM, description, hub_files, token
from tests.image.tools import FOLDER
from tests.local import ROOT

OURS = ("app", "opt/gateway", "opt/model", "var/lib/vllm-gateway", "var/cache/vllm")
USERS = ("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/subuid", "etc/subgid")
PLACES_OF_MOUNTS = ("run", "proc", "dev", "sys", "tmp", "opt")
SETTINGS = {
    "HOST": "0.0.0.0",
    "GATEWAY_PYTHON": "/opt/gateway/bin/python",
    "VLLM_PYTHON": "/usr/bin/python3",
    "GATEWAY_USER": "gateway",
    "VLLM_USER": "vllm",
    "MODEL_NAME": CPU_DEFAULT,
    "MODEL_PATH": "/opt/model",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "USAGE_DATABASE": "/var/lib/vllm-gateway/usage.db",
}


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return dict(description()["Docker"]["config"])


def walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every entry below the root, by its path there."""
    stack = [root]
    while stack:
        for entry in os.scandir(stack.pop()):
            yield os.path.relpath(entry.path, root), entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                stack.append(Path(entry.path))


def is_ours(path: str) -> bool:
    return path.startswith(tuple(f"{each}/" for each in OURS)) or path in OURS


def layers(image: str) -> set[str]:
    """The folders in the store that hold an image's own files."""
    digests = set(description(image)["OCIv1"]["rootfs"]["diff_ids"])
    known = json.loads((FOLDER / "store" / "overlay-layers" / "layers.json").read_text())
    return {each["id"] for each in known if each.get("diff-digest") in digests}


def test_the_model_is_what_the_hub_has_at_that_commit_and_only_what_vllm_loads(rootfs: Path) -> None:
    wanted = {name: file for name, file in hub_files().items() if name not in NOT_FOR_VLLM}
    there = dict(walk(rootfs / "opt" / "model"))

    assert set(there) == set(wanted)
    for name, file in wanted.items():
        content = file if isinstance(file, bytes) else file.read_bytes()
        assert (rootfs / "opt" / "model" / name).read_bytes() == content


def test_the_builds_secret_is_in_no_layer_of_any_stage_and_in_no_description() -> None:
    store = FOLDER / "store"
    foreign = layers(make_base())
    folders = [each / "diff" for each in (store / "overlay").iterdir() if each.name not in {*foreign, "l"}]
    paths = [
        path
        for folder in (*folders, store / "overlay-images", store / "overlay-layers")
        for path in files(folder)
    ]
    found = {
        wanted: [path for path in paths if wanted in path.read_bytes()]
        for wanted in (token().encode(), COMMIT.encode(), b"def read_token")
    }

    assert found[token().encode()] == []
    assert found[COMMIT.encode()] != []  # where descriptions are looked at
    assert found[b"def read_token"] != []  # and layers of stages that are no part of the image


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def test_nothing_is_added_to_the_base_but_our_own_folders_and_users(rootfs: Path, base_rootfs: Path) -> None:
    before, after = dict(walk(base_rootfs)), dict(walk(rootfs))

    added = {path for path in after.keys() - before.keys() if not is_ours(path)}
    assert {path for path in added if path.rstrip("-") not in USERS and path not in PLACES_OF_MOUNTS} == set()
    assert before.keys() - after.keys() - {f"{each}-" for each in USERS} == set()
    changed = {
        path for path in before.keys() & after.keys()
        if stat.S_ISREG(before[path].st_mode) and before[path].st_size != after[path].st_size
    }  # fmt: skip
    assert {path for path in changed if path.rstrip("-") not in USERS} - {
        "var/log/lastlog",
        "var/log/faillog",
    } == set()


def test_neither_user_can_change_code_packages_or_weights(rootfs: Path) -> None:
    seen = 0
    for folder in ("app", "opt/gateway", "opt/model"):
        for path, stats in [(".", (rootfs / folder).lstat()), *walk(rootfs / folder)]:
            seen += 1
            assert stats.st_uid == stats.st_gid == 0, (folder, path)
            assert stat.S_ISLNK(stats.st_mode) or not stats.st_mode & 0o022, (folder, path)
            assert stats.st_mode & 0o004, (folder, path)
    assert seen > 1000


def test_each_user_has_one_folder_that_nobody_else_can_enter(rootfs: Path) -> None:
    for folder, uid in (("var/lib/vllm-gateway", 10001), ("var/cache/vllm", 10002)):
        stats = (rootfs / folder).stat()
        assert (stats.st_uid, stats.st_gid, stat.S_IMODE(stats.st_mode)) == (uid, uid, 0o700)
        assert list((rootfs / folder).iterdir()) == []


def test_there_are_the_two_users_and_none_has_a_shell(rootfs: Path) -> None:
    rows = [line.split(":") for line in (rootfs / "etc" / "passwd").read_text().splitlines()]
    ours = {row[0]: row[2:] for row in rows if row[0] in ("gateway", "vllm")}

    assert {name: row[:2] for name, row in ours.items()} == {"gateway": ["10001"] * 2, "vllm": ["10002"] * 2}
    assert {name: row[3:] for name, row in ours.items()} == {
        "gateway": ["/var/lib/vllm-gateway", "/usr/sbin/nologin"],
        "vllm": ["/var/cache/vllm", "/usr/sbin/nologin"],
    }
    assert len([row for row in rows if row[0] == "vllm"]) == 1


def test_no_file_makes_a_program_another_user(rootfs: Path, base_rootfs: Path) -> None:
    def raised(root: Path) -> set[str]:
        return {path for path, stats in walk(root) if stat.S_ISREG(stats.st_mode) and stats.st_mode & 0o6000}

    assert raised(base_rootfs) != set()
    assert raised(rootfs) == set()


def test_the_gateways_environment_has_no_installer(rootfs: Path) -> None:
    (site,) = (rootfs / "opt" / "gateway").glob("lib/python3*/site-packages")

    assert (site / "flask").is_dir()
    assert not [path.name for path in site.iterdir() if re.match(r"(pip|setuptools|wheel)\b", path.name)]
    assert not [path.name for path in (rootfs / "opt/gateway/bin").iterdir() if path.name.startswith("pip")]


def test_only_what_runs_is_among_the_code(rootfs: Path) -> None:
    assert {path.name for path in (rootfs / "app").iterdir()} == {
        "app", "entrypoint.sh", "gunicorn.conf.py", "wsgi.py", "LICENSE", "__pycache__",
    }  # fmt: skip
    compiled = {path.name.split(".")[0] for path in (rootfs / "app" / "app" / "__pycache__").iterdir()}
    assert compiled == {path.stem for path in (ROOT / "app").glob("*.py")}


def test_the_image_says_how_it_is_started(config: dict[str, Any]) -> None:
    assert config["Entrypoint"] == ["/app/entrypoint.sh"]
    assert not config.get("Cmd")
    assert config["WorkingDir"] == "/app"
    assert config["User"] in ("0", "root")
    assert config["StopSignal"] == "SIGTERM"
    assert set(config["ExposedPorts"]) == {"8080/tcp"}


def test_the_image_has_the_settings_that_belong_to_it_and_keeps_those_of_its_base(
    config: dict[str, Any],
) -> None:
    given = dict(entry.split("=", 1) for entry in config["Env"])

    assert {name: given.get(name) for name in SETTINGS} == SETTINGS
    assert given["VLLM_ENABLE_CUDA_COMPATIBILITY"] == "0"
    assert not {name for name in given if "TOKEN" in name or name == "HF_ENDPOINT"}


def test_its_labels_tell_what_it_was_made_of(config: dict[str, Any]) -> None:
    labels = config["Labels"]
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert version
    assert labels["org.opencontainers.image.version"] == version[1]
    assert labels["org.opencontainers.image.revision"] == "f" * 40
    assert labels["org.opencontainers.image.base.name"] == make_base()
    assert labels["vllm-gateway.model.name"] == CPU_DEFAULT
    assert labels["vllm-gateway.model.revision"] == COMMIT
