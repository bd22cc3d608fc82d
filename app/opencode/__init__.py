"""The configuration of OpenCode for gateways like this one; its sizes are of use elsewhere too."""

from app.opencode.config import FULL_WINDOW, MOST_OUTPUT, SMALLEST_WINDOW

__all__ = ["FULL_WINDOW", "MOST_OUTPUT", "SMALLEST_WINDOW"]
