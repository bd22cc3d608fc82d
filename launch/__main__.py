"""`python3 -m launch`, which is `make serve`."""

import sys

from launch.serve import main

sys.exit(main())
