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

KEPT = ",".join(["-all", *(f"+{right.removeprefix('CAP_').lower()}" for right in CAPABILITIES)])
FEW_RIGHTS = ("setpriv", f"--bounding-set={KEPT}", "--no-new-privs", "--")  # root may not even read all files
DEVICES = """
mount -t tmpfs none /dev
mknod /dev/null c 1 3
ln -s /proc/self/fd /dev/fd
mkdir /dev/nvidia-caps
mknod /dev/nvidia-caps/nvidia-cap1 c 1 3
chgrp {group} /dev/nvidia-caps/nvidia-cap1
exec "$@"
"""


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


def run(entrypoint: Entrypoint, *before: str) -> None:
    command = [*before, *entrypoint.command]
    ended = subprocess.run(command, env=entrypoint.environ, capture_output=True, text=True, timeout=10)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_with_few_rights_it_leaves_nothing_behind(tmp_path: Path) -> None:
    with two_users(tmp_path) as entrypoint:
        run(entrypoint, *FEW_RIGHTS)

        assert set(os.listdir(entrypoint.scratch)) == {"python", "groups"}


@pytest.mark.parametrize(("group", "more"), [("video", {"video"}), ("root", set())])
def test_where_a_gpu_is_for_a_group_vllm_is_in_it(tmp_path: Path, group: str, more: set[str]) -> None:
    with two_users(tmp_path) as entrypoint:
        run(entrypoint, "unshare", "--mount", "sh", "-ec", DEVICES.format(group=group), "sh")

        assert set((entrypoint.scratch / "groups").read_text().split()) == {"nogroup", *more}
