"""What `make serve` does before and beside entrypoint.sh; only the standard library, on any Python."""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # before anything that an older Python cannot read
    sys.exit(
        "serve: Python 3.11 or newer is needed, not %d.%d: make serve PYTHON=python3.12"
        % sys.version_info[:2]
    )

ROOT = Path(__file__).resolve().parent.parent
