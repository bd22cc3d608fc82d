"""The image's file system, and what every test here stands on."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.image.base import make_base
from tests.image.build import IMAGE
from tests.image.network import interfaces
from tests.image.tools import ask_buildah, buildah


@pytest.fixture(scope="session", autouse=True)
def alone() -> None:
    """No network but loopback: whatever works here works offline."""
    assert interfaces() == ["lo"], "these tests are run by `make image-test`, in a network of their own"


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """An image's files."""
    container = ask_buildah("from", "--pull-never", image)
    try:
        yield Path(ask_buildah("mount", container))
    finally:
        subprocess.run(buildah("umount", container), check=True, capture_output=True)
        subprocess.run(buildah("rm", container), check=True, capture_output=True)


@pytest.fixture(scope="session")
def rootfs(alone: None) -> Iterator[Path]:
    """The image's; containers have it read-only."""
    with mounted(IMAGE) as root:
        yield root


@pytest.fixture(scope="session")
def base_rootfs(alone: None) -> Iterator[Path]:
    """The base image's."""
    with mounted(make_base()) as root:
        yield root
