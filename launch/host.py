"""Whether this machine can do it: each check raises Unfit with one sentence."""

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
from pathlib import Path

MACHINES = ("x86_64", "aarch64")  # what vLLM's wheels are built for
TOOLS = {"bash": "bash", "setsid": "util-linux", "setpriv": "util-linux", "readlink": "coreutils"}


class Unfit(Exception):
    """Something is missing here; the text says what, and what to do."""


def check_system() -> None:
    """Linux on a processor that vLLM is built for, with the programs that entrypoint.sh runs."""
    system, machine = platform.system(), platform.machine()
    if system == "Darwin":
        raise Unfit(
            "macOS cannot run this: vLLM's wheels and the gateway need Linux; "
            "run it in a Linux virtual machine (Lima, Colima, Docker Desktop) with 8 GB of memory."
        )
    if system != "Linux" or machine not in MACHINES:
        raise Unfit(f"Linux on {' or '.join(MACHINES)} is needed, this is {system} on {machine}.")
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            raise Unfit(f"the program {tool} is missing; install the package {package}.")
    if subprocess.run(["setpriv", "--pdeathsig", "keep", "true"], capture_output=True).returncode != 0:
        raise Unfit("setpriv is too old; util-linux 2.33 or newer is needed.")
    if importlib.util.find_spec("ensurepip") is None:
        raise Unfit("Python's venv module is incomplete; install the package python3-venv.")


def check_disk(folder: Path, gigabytes: float) -> None:
    """Room for what is still to be installed."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise Unfit(f"about {gigabytes:g} GB of free disk are needed in {folder}, there are {free:.1f}.")


def check_folder(folder: Path) -> None:
    """The key file's folder is there."""
    if not folder.is_dir():
        raise Unfit(f"the folder {folder} of API_KEYS_FILE does not exist.")


def check_port(host: str, port: str) -> None:
    """The gateway's address is a port, and nobody listens on it."""
    if not (port.isdecimal() and 1 <= int(port) <= 65535):
        raise Unfit(f"PORT={port!r} is no TCP port; expected a number from 1 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            raise Unfit(
                f"port {port} on {host} cannot be used ({error.strerror}); PORT=… chooses another"
            ) from None


def has_nvidia_gpu() -> bool:
    """Whether the driver lists a GPU, and CUDA_VISIBLE_DEVICES=-1 does not hide it."""
    if shutil.which("nvidia-smi") is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "-1":
        return False
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        raise Unfit("nvidia-smi does not answer; CUDA_VISIBLE_DEVICES=-1 goes on without a GPU.") from None
    return listing.returncode == 0 and b"GPU " in listing.stdout
