"""What entrypoint.sh needs of the settings: `python -m app.launch_plan` prints it, each item ended by a NUL.

First how long the gateway may drain, in hundredths of a second; then vLLM's arguments. A socket that an
earlier vLLM left in their way is removed. The argument is the version of vLLM, empty when it is not known.
"""

import os
import re
import socket
import stat
import sys
from urllib.parse import urlsplit

from app.policy import Policy
from app.settings import SettingsError, server_settings
from app.vllm_command import vllm_arguments

OLDEST = (0, 32)  # every hole that is known today is closed there


def check_version(version: str, *, allow_old: bool) -> None:
    """Refuse a vLLM with known holes, unless the settings allow it; a build of one's own has no version.

    Raises SettingsError.
    """
    known = re.match(r"(\d+)\.(\d+)", version)
    release = (int(known[1]), int(known[2])) if known else OLDEST
    is_own_build = release <= (0, 1) and "dev" in version
    if allow_old or is_own_build or release >= OLDEST:
        return
    raise SettingsError(
        f"vLLM {version} has holes that {'.'.join(map(str, OLDEST))} closed; ALLOW_OLD_VLLM=true starts it."
    )


def check_weights(path: str | None) -> None:
    """Refuse an empty folder: a mount that is missing, or the place for weights in an image that has none.

    Only for a launch: commands in such an image need no weights. Raises SettingsError.
    """
    if path is not None and os.access(path, os.R_OK) and not os.listdir(path):
        raise SettingsError(f"MODEL_PATH={path!r} is an empty folder: expected one with the model's weights.")


def clear_socket(base_url: str) -> None:
    """Remove the socket that an earlier vLLM left: it never does, and cannot bind over it.

    Raises SettingsError when something else is there, or a server that answers.
    """
    path = urlsplit(base_url).path
    if not base_url.startswith("unix:") or not os.path.lexists(path):
        return
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise SettingsError(f"VLLM_BASE_URL={base_url!r} names a file that is no socket.")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(path) == 0:
            raise SettingsError(f"VLLM_BASE_URL={base_url!r} is in use: a server answers there.")
    try:
        os.unlink(path)
    except PermissionError:
        raise SettingsError(f"VLLM_BASE_URL={base_url!r} names a socket that cannot be removed.") from None


def main() -> None:
    """Print the plan, or say in one sentence which setting is wrong."""
    try:
        settings = server_settings()
        check_version(sys.argv[1], allow_old=settings.allow_old_vllm)
        check_weights(settings.model_path)
        Policy(settings)  # what the gateway would refuse to start with, before vLLM loads its weights
        clear_socket(settings.vllm_base_url)
        plan = [str(round(settings.drain_seconds * 100)), *vllm_arguments(settings)]
    except SettingsError as error:
        sys.exit(f"gateway: {error}")
    sys.stdout.write("".join(f"{item}\0" for item in plan))


if __name__ == "__main__":
    main()
