"""entrypoint.sh as root, with a user for each of the two programs; the rest is tried in the image."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.entrypoint import Entrypoint
from tests.image.container import CAPABILITIES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

DEVICES = """
mount -t tmpfs none /dev
mknod /dev/null c 1 3
ln -s /proc/self/fd /dev/fd
mkdir /dev/nvidia-caps
mknod /dev/nvidia-caps/nvidia-cap1 c 1 3
chgrp {group} /dev/nvidia-caps/nvidia-cap1
exec "$@"
"""


def with_rights(*rights: str) -> tuple[str, ...]:
    """What runs a command with these capabilities of root's: it may not even read all files then."""
    kept = ",".join(["-all", *(f"+{right.removeprefix('CAP_').lower()}" for right in rights)])
    return "setpriv", f"--bounding-set={kept}", "--no-new-privs", "--"


@contextmanager
def two_users(folder: Path) -> Iterator[Entrypoint]:
    """Gets as far as vLLM's first program, which writes down its groups; the gateway does not start."""
    with Entrypoint(folder, GATEWAY_USER="daemon", VLLM_USER="nobody").prepared() as entrypoint:
        entrypoint.scratch.chmod(0o1777)
        program = entrypoint.scratch / "python"  # pytest's own folders are for root alone
        program.write_text('#!/bin/sh\nid -Gn >"$TMPDIR/groups"\n')
        program.chmod(0o755)
        entrypoint.environ |= {"VLLM_PYTHON": str(program), "GATEWAY_PYTHON": "/bin/false"}
        yield entrypoint


def run(entrypoint: Entrypoint, *before: str) -> str:
    """Returns what it says."""
    command = [*before, *entrypoint.command]
    ended = subprocess.run(command, env=entrypoint.environ, capture_output=True, text=True, timeout=10)
    assert ended.returncode == 1
    return ended.stderr


def test_with_few_rights_it_leaves_nothing_behind(tmp_path: Path) -> None:
    with two_users(tmp_path) as entrypoint:
        assert run(entrypoint, *with_rights(*CAPABILITIES)) == ""

        assert set(os.listdir(entrypoint.scratch)) == {"python", "groups"}


@pytest.mark.parametrize("missing", CAPABILITIES)
def test_each_of_the_rights_is_asked_for_in_a_sentence(tmp_path: Path, missing: str) -> None:
    with two_users(tmp_path) as entrypoint:
        said = run(entrypoint, *with_rights(*{*CAPABILITIES} - {missing}))

        assert set(os.listdir(entrypoint.scratch)) == {"python"}
    assert said.startswith(
        "gateway: root needs the capabilities CHOWN, KILL, SETGID and SETUID to start two users"
    )
    assert said.count("\n") == 1


@pytest.mark.parametrize(("group", "more"), [("video", {"video"}), ("root", set())])
def test_where_a_gpu_is_for_a_group_vllm_is_in_it(tmp_path: Path, group: str, more: set[str]) -> None:
    with two_users(tmp_path) as entrypoint:
        unshare = ("unshare", "--mount", "sh", "-ec", DEVICES.format(group=group), "sh")
        assert run(entrypoint, *unshare) == ""

        assert set((entrypoint.scratch / "groups").read_text().split()) == {"nogroup", *more}
