"""What entrypoint.sh needs of the settings: `python -m app.launch_plan` prints it, each item ended by a NUL.

First how long the gateway may drain, in hundredths of a second; then vLLM's arguments.
"""

import sys

from app.settings import SettingsError, server_settings
from app.vllm_command import vllm_arguments


def main() -> None:
    """Print the plan, or say in one sentence which setting is wrong."""
    try:
        settings = server_settings()
        plan = [str(round(settings.drain_seconds * 100)), *vllm_arguments(settings)]
    except SettingsError as error:
        sys.exit(f"gateway: {error}")
    sys.stdout.write("".join(f"{item}\0" for item in plan))


if __name__ == "__main__":
    main()
